"""Recipes: values that cannot work are refused in one line that names them."""

import pytest

from rtpolyp.errors import InputError
from train.networks import NETWORKS
from train.recipe import RECIPES, Recipe, recipe_for


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss": "hinge"}, "loss 'hinge' is unknown; there are: bce-dice, structure"),
        ({"sampling": "all"}, "sampling 'all' is unknown; there are: uniform, square-root, equal"),
        ({"steps": 0}, "steps: 0 cannot work. Give 1 or more"),
        ({"batch": 1}, "batch: 1 cannot work. Give 2 or more"),
        ({"seed": -1}, "seed: -1 cannot work. Give 0 or more"),
        ({"lr_decoder": -1e-3}, "lr_decoder: -0.001 cannot work. Give 0 or more"),
        ({"lr_decoder": float("nan")}, "lr_decoder: nan cannot work. Give 0 or more"),
        ({"lr_encoder": float("inf")}, "lr_encoder: inf cannot work. Give 0 or more"),
        ({"ema": 1.5}, "ema: 1.5 cannot work. Give 0 to 1"),
        ({"jpeg": 2.0}, "jpeg: 2.0 cannot work. Give 0 to 1"),
        ({"polyp_free_crops": 0.7}, "polyp_free_crops: 0.7 cannot work. Give 0 to 0.5"),
        ({"crop_zoom": 0.5}, "crop_zoom: 0.5 cannot work. Give 1 to 10"),
        ({"zoom": (0.0, 1.0)}, "zoom: 0.0 cannot work. Give 0.1 to 10"),
        ({"zoom": (1.4, 0.7)}, "zoom: 1.4 to 0.7 is no range. Give the smaller first"),
        ({"sizes": ((200, 1.0),)}, "sizes: 200 is not a multiple of 32. Give e.g. 192 or 256"),
        ({"sizes": ((0, 1.0),)}, "sizes: 0 is not a multiple of 32. Give e.g. 192 or 256"),
        ({"sizes": ((64, 0.5), (96, 0.4))}, "sizes: the shares [0.5, 0.4] must add up to 1"),
        ({"sizes": ((64, 1.5), (96, -0.5))}, "sizes: 1.5 cannot work. Give 0 to 1"),
        ({"sizes": ()}, "sizes: the shares [] must add up to 1"),
    ],
)
def test_a_value_that_cannot_work_fails_naming_it(values, message):
    with pytest.raises(InputError) as caught:
        Recipe(**values)
    assert str(caught.value) == message


def test_sizes_take_their_shares_of_the_steps():
    recipe = Recipe(steps=10, sizes=((64, 0.5), (96, 0.3), (128, 0.2)))
    assert [recipe.size_at(step) for step in range(10)] == [64] * 5 + [96] * 3 + [128] * 2


def test_every_network_has_a_recipe():
    assert set(RECIPES) == set(NETWORKS)
    assert recipe_for("pranet-if") is RECIPES["pranet-if"]


def test_an_unknown_network_fails_listing_what_exists():
    with pytest.raises(InputError, match=r"network 'unet9000' has no recipe; there are: pranet, pranet-if"):
        recipe_for("unet9000")
