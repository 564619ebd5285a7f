"""Quality of frames: drawn ones, blurred ones, rooms and screens, and real ones."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.picture import find_picture
from rtpolyp.imaging.quality import CHANGE_MS, FROZEN_MS, FrameQuality, blur_effect, judge
from rtpolyp.phantom import render_phantom
from rtpolyp.video.planes import plane_view
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, make_clip

FPS = 25
SIZE = 640, 512
WHOLE = Rect(0, 0, *SIZE)

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
Picture = NDArray[np.uint8]


def planes(bgr: Picture) -> Planes:
    """Limited range, BT.601, as an untagged recording."""
    height, width = bgr.shape[0] // 2 * 2, bgr.shape[1] // 2 * 2
    packed = cv2.cvtColor(bgr[:height, :width], cv2.COLOR_BGR2YUV_I420)
    u, v = packed[height:].reshape(2, height // 2, width // 2)
    return packed[:height], u, v


def smeared(bgr: Picture, share: float) -> Picture:
    """Motion blur across `share` of the width."""
    length = round(share * bgr.shape[1])
    return cv2.blur(bgr, (length, 1))


def noisy(bgr: Picture, sigma: float = 1.5, seed: int = 0) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, bgr.shape)
    return np.clip(bgr + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def phantom() -> list[Picture]:
    return [frame.bgr for frame in render_phantom(0.8, SIZE, FPS, seed=1)]


def wall(colour: tuple[int, int, int]) -> Picture:
    """A lit wall: brighter in the middle."""
    x = np.linspace(-1, 1, SIZE[0])
    y = np.linspace(-1, 1, SIZE[1])[:, np.newaxis]
    light = 1 - 0.1 * (x * x + y * y)
    return noisy(light[..., np.newaxis] * np.array(colour))


def drape(colour: tuple[int, int, int]) -> Picture:
    """Cloth with folds and a weave."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    light = 0.7 + 0.25 * np.sin(x / 40 + np.sin(y / 70)) + 0.05 * ((x // 2 + y // 2) % 2)
    return noisy(light[..., np.newaxis] * np.array(colour))


def screen() -> Picture:
    picture = np.full((SIZE[1], SIZE[0], 3), 20, np.uint8)
    for row in range(12):
        text = f"{row:02} PATIENT LIST 12:3{row}"
        cv2.putText(picture, text, (20, 40 + 40 * row), cv2.FONT_HERSHEY_SIMPLEX, 1, (220,) * 3, 2)
    return picture


def grey_noise() -> Picture:
    grey = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 1), dtype=np.uint8)
    return np.repeat(grey, 3, axis=2)


OUTSIDE = {
    "white wall": wall((200, 205, 205)),
    "grey noise": grey_noise(),
    "text screen": screen(),
    "blue drape": drape((170, 110, 60)),
    "green drape": drape((110, 140, 70)),
    "black": np.zeros((SIZE[1], SIZE[0], 3), np.uint8),
}


def test_a_phantom_is_clear(phantom: list[Picture]) -> None:
    assert {judge(*planes(bgr)) for bgr in phantom} == {"clear"}


@pytest.mark.parametrize("name", OUTSIDE)
def test_rooms_screens_and_drapes_are_outside(name: str) -> None:
    assert judge(*planes(OUTSIDE[name])) == "outside"


def test_a_warm_wall_and_a_lens_on_the_mucosa_show_nothing() -> None:
    assert judge(*planes(wall((170, 195, 215)))) == "blurred"
    assert judge(*planes(wall((60, 80, 190)))) == "blurred"


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_motion_blur(phantom: list[Picture], share: float) -> None:
    assert judge(*planes(noisy(smeared(phantom[0], share)))) == "blurred"


def test_blur_out_of_focus(phantom: list[Picture]) -> None:
    blurred = cv2.GaussianBlur(phantom[0], (0, 0), 0.01 * SIZE[0])
    assert judge(*planes(noisy(blurred))) == "blurred"


def test_the_blur_effect_does_not_depend_on_contrast(phantom: list[Picture]) -> None:
    luma = planes(phantom[0])[0]
    cells = cv2.resize(luma, (256, 205), interpolation=cv2.INTER_AREA)
    faint = cv2.convertScaleAbs(cells, alpha=0.5, beta=60)
    assert blur_effect(faint) == pytest.approx(blur_effect(cells), abs=0.03)
    assert blur_effect(cv2.GaussianBlur(cells, (0, 0), 3)) > blur_effect(cells) + 0.2
    assert blur_effect(np.full((64, 64), 90, np.uint8)) == 1.0


def watch(quality: FrameQuality, pictures: list[Picture], first: int = 0, fps: float = FPS) -> list[str]:
    return [quality(*planes(bgr), (first + k) / fps, WHOLE) for k, bgr in enumerate(pictures)]


def test_one_bad_frame_changes_nothing_and_a_lasting_one_does(phantom: list[Picture]) -> None:
    bad = noisy(smeared(phantom[0], 0.1), seed=1)
    shaken = [noisy(smeared(bgr, 0.1)) for bgr in phantom[:8]]
    quality = FrameQuality()
    assert watch(quality, [phantom[0], bad, *phantom[1:4]]) == ["clear"] * 5
    seen = watch(quality, shaken, 5)
    late = seen.index("blurred")
    assert seen == ["clear"] * late + ["blurred"] * (8 - late)
    assert 1000 * late / FPS <= CHANGE_MS
    assert watch(quality, phantom[4:12], 13)[-1] == "clear"


def test_a_frozen_picture_is_told_after_its_time_and_ends_at_once(
    phantom: list[Picture], tmp_path: Path
) -> None:
    """What a frozen tower sends: one picture, the cable's noise, and an encoder."""
    clip = Clip(frames=20, size=SIZE, options={"crf": "23"})
    make_clip(tmp_path / "still.mp4", clip, lambda index, _: noisy(phantom[1], 1.0, index))
    with open_source(tmp_path / "still.mp4") as source:
        still = [tuple(plane_view(frame.native, k).copy() for k in range(3)) for frame in source]
    assert not np.array_equal(still[3][0], still[4][0])
    quality = FrameQuality()
    assert quality(*planes(phantom[0]), 0.0, WHOLE) == "clear"
    seen = [quality(*frame, (1 + k) / FPS, WHOLE) for k, frame in enumerate(still)]
    late = seen.index("frozen")
    assert 1000 * late / FPS == pytest.approx(FROZEN_MS, abs=1000 / FPS)
    assert set(seen[late:]) == {"frozen"}
    assert watch(quality, [phantom[2]], 21) == ["clear"]


def test_what_moves_is_never_frozen(phantom: list[Picture]) -> None:
    assert set(watch(FrameQuality(), phantom)) == {"clear"}


def test_only_the_endoscope_s_picture_counts(phantom: list[Picture]) -> None:
    quality = FrameQuality()
    seen = []
    for k in range(20):
        frame = np.zeros((720, 1280, 3), np.uint8)
        frame[100:612, 400:1040] = phantom[0]
        cv2.putText(frame, f"12:00:{k:02}", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 2, (255,) * 3, 3)  # a clock
        seen.append(quality(*planes(frame), k / FPS, Rect(400, 100, *SIZE)))
    assert (seen[0], seen[-1]) == ("clear", "frozen")


@pytest.mark.parametrize("pts_seconds", [0.0, 0.4])
def test_a_timestamp_that_does_not_advance_starts_anew(phantom: list[Picture], pts_seconds: float) -> None:
    quality = FrameQuality()
    assert watch(quality, [OUTSIDE["text screen"]] * 11)[-1] == "outside"
    assert quality(*planes(phantom[0]), pts_seconds, WHOLE) == "clear"


def real(data: Path) -> Iterator[Picture]:
    """Every fiftieth train frame, cut to the picture."""
    for folder, split, suffix in (
        ("kvasir-seg", "kvasir-seg/splits/paper80-10-10_train.txt", ".jpg"),
        ("cvc-612", "cvc-612/splits/sequence80-10-10_train.txt", ".png"),
    ):
        for stem in (data / split).read_text().split()[::50]:
            bgr = cv2.imread(str(data / folder / "images" / (stem + suffix)))
            found = find_picture(planes(bgr)[0])
            yield bgr[found.y : found.y + found.height, found.x : found.x + found.width]


@pytest.mark.needs_data
def test_real_frames_are_clear_until_they_are_blurred(data_dir: Path) -> None:
    pictures = list(real(data_dir))
    assert {judge(*planes(bgr)) for bgr in pictures} == {"clear"}
    small = [cv2.resize(bgr, (512, 448), interpolation=cv2.INTER_AREA) for bgr in pictures]
    for blurred in ([cv2.GaussianBlur(bgr, (0, 0), 5) for bgr in small], [smeared(b, 0.05) for b in small]):
        assert np.mean([judge(*planes(noisy(bgr))) == "blurred" for bgr in blurred]) >= 0.9
