"""Recipes: values that cannot work are refused in one line that names them."""

import pytest

from rtpolyp.errors import InputError
from train.losses import LOSSES
from train.networks import NETWORKS
from train.recipe import Recipe, recipe_for


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss": "hinge"}, f"loss 'hinge' is unknown; there are: {', '.join(LOSSES)}"),
        ({"optimiser": "lion"}, "optimiser 'lion' is unknown; there are: adamw, adam, nadam, sgd"),
        ({"schedule": "linear"}, "schedule 'linear' is unknown; there are: one-cycle, cosine, constant"),
        ({"sampling": "all"}, "sampling 'all' is unknown; there are: uniform, square-root, equal"),
        ({"steps": 0}, "steps: 0 cannot work. Give 1 or more, or epochs"),
        ({"steps": -5}, "steps: -5 cannot work. Give 0 or more"),
        ({"steps": 9, "epochs": 2}, "steps: 9 and 2 epochs: give one, 0 for the other"),
        ({"scales": ()}, "scales: none given. Give 1 for the batch as it is"),
        ({"scales": (1.0, 0.0)}, "scales: 0.0 cannot work. Give 0.1 to 4"),
        ({"quarter_turns": 4}, "quarter_turns: 4 cannot work. Give 0 to 3"),
        ({"clip_value": -0.5}, "clip_value: -0.5 cannot work. Give 0 or more"),
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


def test_each_scale_of_a_batch_is_a_step_at_a_multiple_of_32():
    recipe = Recipe(steps=9, sizes=((352, 1.0),), scales=(0.75, 1.0, 1.25))
    assert [recipe.size_at(step) for step in range(9)] == [256, 352, 448] * 3
    assert [recipe.drawn_size_at(step) for step in range(9)] == [352] * 9


def test_a_batch_keeps_its_size_until_its_last_scale():
    recipe = Recipe(steps=10, sizes=((64, 0.5), (128, 0.5)), scales=(0.5, 1.0))
    assert [recipe.drawn_size_at(step) for step in range(10)] == [64] * 6 + [128] * 4
    assert [recipe.size_at(step) for step in range(10)] == [32, 64] * 3 + [64, 128] * 2


@pytest.mark.parametrize(
    ("recipe", "frames", "steps"),
    [
        (Recipe(steps=0, epochs=100, batch=16), 800, 5000),
        (Recipe(steps=0, epochs=19, batch=16, scales=(0.75, 1, 1.25)), 1450, 19 * 91 * 3),
        (Recipe(steps=0, epochs=0.5, batch=16), 801, 26),  # 51 batches, the last of them full too
        (Recipe(steps=0, epochs=0.001), 100, 1),
        (Recipe(steps=7), 800, 7),
    ],
)
def test_epochs_become_steps_once_the_frames_are_counted(recipe, frames, steps):
    counted = recipe.for_frames(frames)
    assert (counted.steps, counted.epochs) == (steps, 0)
    assert counted.for_frames(frames) == counted


def test_steps_and_epochs_take_each_others_place():
    assert Recipe().changed(epochs=3, blur=0.5) == Recipe(steps=0, epochs=3, blur=0.5)
    assert Recipe(steps=0, epochs=3).changed(steps=5) == Recipe(steps=5)
    assert Recipe(steps=0, epochs=3).changed(blur=0.5).epochs == 3
    with pytest.raises(InputError, match="steps: 5 and 3 epochs: give one"):
        Recipe().changed(steps=5, epochs=3)


@pytest.mark.parametrize("whose", ["ours", "author"])
def test_every_network_has_a_recipe_that_its_twin_shares(whose):
    for name in NETWORKS:
        assert recipe_for(name, whose) is recipe_for(name.removesuffix("-if"), whose)


@pytest.mark.parametrize(
    ("network", "stated"),
    [
        ("fcn", ("sgd", "cosine", "cross-entropy", 1e-2, 16, ((352, 1.0),), 5000)),
        ("unet", ("sgd", "cosine", "cross-entropy", 1e-2, 16, ((352, 1.0),), 5000)),
        ("unetpp", ("sgd", "cosine", "bce-dice-unetpp", 1e-3, 16, ((352, 1.0),), 5000)),
        ("resunetpp", ("nadam", "constant", "dice", 1e-4, 8, ((256, 1.0),), 20000)),
        ("pranet", ("adam", "constant", "structure", 1e-4, 16, ((352, 1.0),), 2850)),
    ],
)
def test_an_authors_recipe_is_what_is_published(network, stated):
    """On the 800 training frames of Kvasir-SEG."""
    recipe = recipe_for(network, "author").for_frames(800)
    assert recipe.lr_encoder == recipe.lr_decoder
    names = ("optimiser", "schedule", "loss", "lr_decoder", "batch", "sizes", "steps")
    assert tuple(getattr(recipe, name) for name in names) == stated


def test_an_unknown_network_fails_listing_what_exists():
    with pytest.raises(
        InputError,
        match=r"network 'unet9000' has no recipe; did you mean unet\?",
    ):
        recipe_for("unet9000")


def test_an_unknown_recipe_fails_listing_what_exists():
    with pytest.raises(InputError, match="recipe 'grandmother' is unknown; there are: ours, author"):
        recipe_for("unet", "grandmother")
