"""What a frame looks like, and which training source is like it."""

import dataclasses

import cv2
import numpy as np
import pytest

from rtpolyp.imaging.appearance import TRAITS, measure_appearance
from rtpolyp.imaging.training_sources import TrainingSources
from rtpolyp.phantom import render_phantom

NAMES = [trait.name for trait in TRAITS]
SURE = np.zeros((224, 224), np.uint8)


@pytest.fixture(scope="module")
def mucosa() -> np.ndarray:
    frame = next(iter(render_phantom(0.1, (320, 256), 25, 0))).bgr
    return np.asarray(cv2.resize(frame, (224, 224), interpolation=cv2.INTER_AREA), np.uint8)


def changes(before: np.ndarray, after: np.ndarray, probability: np.ndarray = SURE) -> dict[str, float]:
    change = measure_appearance(after, probability) - measure_appearance(before, SURE)
    return dict(zip(NAMES, change, strict=True))


@pytest.mark.parametrize(
    ("harm", "rises"),
    [
        (lambda frame: frame // 2, {"brightness": False, "contrast": False}),
        (lambda frame: cv2.GaussianBlur(frame, (0, 0), 4), {"blur": True, "fine detail": False}),
        (lambda frame: frame[..., ::-1], {"redness": False, "blueness": True}),
        (lambda frame: frame[..., [0, 0, 1]], {"redness": False, "blues": False}),
        (lambda frame: cv2.copyMakeBorder(frame, 60, 60, 60, 60, cv2.BORDER_CONSTANT), {"border": True}),
        (lambda frame: cv2.rectangle(frame.copy(), (0, 0, 80, 224), (180,) * 3, -1), {"flat areas": True}),
    ],
)
def test_each_harm_moves_the_trait_that_names_it(mucosa: np.ndarray, harm, rises: dict[str, bool]):
    found = changes(mucosa, np.ascontiguousarray(harm(mucosa)))
    assert {name: found[name] > 0 for name in rises} == rises


def test_the_network_has_its_say(mucosa: np.ndarray):
    found = changes(mucosa, mucosa, np.full_like(SURE, 128))
    assert found["doubt"] == 1
    assert not any(change for name, change in found.items() if name != "doubt")


def test_sizes_of_the_network_s_input_change_little(mucosa: np.ndarray):
    larger = cv2.resize(mucosa, (352, 352), interpolation=cv2.INTER_LINEAR)
    assert abs(changes(mucosa, larger)["brightness"]) < 1
    assert abs(changes(mucosa, larger)["fine detail"]) < 0.3


@pytest.mark.parametrize("level", [0, 255])
def test_one_colour_alone_has_finite_traits(level: int):
    assert np.isfinite(measure_appearance(np.full((64, 96, 3), level, np.uint8), SURE[:64, :96])).all()


def sources(**changed: object) -> TrainingSources:
    """Two sources a unit apart in each trait, of a standard deviation of 1 each."""
    means = np.stack([np.zeros(len(TRAITS)), np.ones(len(TRAITS))])
    known = TrainingSources(("one", "other"), (50, 60), means, np.stack([np.eye(len(TRAITS))] * 2), 6.0)
    return dataclasses.replace(known, **changed)


def traits(**values: float) -> np.ndarray:
    return np.array([values.get(name, 0.5) for name in NAMES])


def test_what_lies_between_the_sources_is_like_them():
    assert sources().difference(traits()) is None
    assert sources().difference(traits(redness=4.0, brightness=-3.0)) is None


def test_the_strangest_traits_are_named_first():
    found = sources().difference(traits(redness=8.0, brightness=-6.0))
    assert found == "redder and darker than any training source"


def test_many_small_differences_are_one_as_well():
    found = sources(limit=3.0).difference(np.where(np.arange(len(TRAITS)) % 2, 2.5, -1.5))
    assert found == "its contrast and blueness are together as in no training source"


def test_the_spec_gives_back_what_it_was_given():
    again = TrainingSources.of(sources().to_dict())
    assert again is not None
    assert (again.names, again.frames, again.limit) == (("one", "other"), (50, 60), 6.0)
    np.testing.assert_array_equal(again.covariances, sources().covariances)


def test_a_bundle_without_it_or_of_other_traits_says_nothing():
    assert TrainingSources.of({}) is None
    assert TrainingSources.of({**sources().to_dict(), "traits": ["redness"]}) is None
