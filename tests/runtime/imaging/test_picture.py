from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.imaging.picture import PictureFinder, find_picture, parse_crop

CELL = 1280 / 256  # frame pixels a cell of the finder's grid; bounds may lie this much and a margin outside
OUTWARDS = 3 * CELL


PICTURE = Rect(400, 30, 800, 760)  # what `screen` shows


def screen(border: int = 16, shape: str = "octagon") -> NDArray[np.uint8]:
    """A 1280x800 luma plane: a textured picture on a flat border, with text, a position box and a logo."""
    rng = np.random.default_rng(0)
    luma = np.full((800, 1280), border, np.uint8)
    x0, y0, x1, y1 = PICTURE.x, PICTURE.y, PICTURE.x + PICTURE.width, PICTURE.y + PICTURE.height
    cut = PICTURE.height // 4
    inside = np.zeros_like(luma)
    if shape == "octagon":
        corners = [(x0 + cut, y0), (x1 - cut, y0), (x1, y0 + cut), (x1, y1 - cut)]
        corners += [(x1 - cut, y1 - 1), (x0 + cut, y1 - 1), (x0, y1 - cut), (x0, y0 + cut)]
        cv2.fillPoly(inside, [np.array(corners, np.int32)], 255)
    else:
        centre, axes = ((x0 + x1) // 2, (y0 + y1) // 2), (PICTURE.width // 2, PICTURE.height // 2)
        cv2.ellipse(inside, centre, axes, 0, 0, 360, 255, -1)
    texture = cv2.resize(rng.integers(60, 180, (20, 32), dtype=np.uint8), (1280, 800))
    luma[inside > 0] = texture[inside > 0]
    for line in range(6):
        cv2.putText(luma, "Name: DOE J. 12/03", (12, 60 + 40 * line), 0, 0.9, 230, 2, cv2.LINE_AA)
    cv2.rectangle(luma, (20, 560), (280, 780), 150, -1)  # the scope's position
    return luma


def assert_contains(found: Rect) -> None:
    right, bottom = PICTURE.x + PICTURE.width, PICTURE.y + PICTURE.height
    assert PICTURE.x - OUTWARDS <= found.x <= PICTURE.x
    assert PICTURE.y - OUTWARDS <= found.y <= PICTURE.y
    assert right <= found.x + found.width <= right + OUTWARDS
    assert bottom <= found.y + found.height <= bottom + OUTWARDS


@pytest.mark.parametrize("shape", ["octagon", "circle"])
@pytest.mark.parametrize("border", [0, 16, 31])
def test_finds_the_picture_beside_text_and_boxes(shape: str, border: int) -> None:
    assert_contains(find_picture(screen(border, shape)))


def test_noise_on_the_border_changes_nothing() -> None:
    luma = screen().astype(np.int16) + np.random.default_rng(1).integers(-3, 4, (800, 1280))
    assert_contains(find_picture(luma.clip(0, 255).astype(np.uint8)))


@pytest.mark.parametrize("level", [0, 16, 20])
def test_a_dark_frame_is_not_cropped(level: int) -> None:
    luma = np.random.default_rng(0).integers(level, level + 4, (480, 640), dtype=np.uint8)
    assert find_picture(luma) == Rect(0, 0, 640, 480)


def test_a_picture_without_a_border_is_not_cropped() -> None:
    luma = cv2.resize(np.random.default_rng(0).integers(60, 200, (12, 16), dtype=np.uint8), (640, 480))
    assert find_picture(luma) == Rect(0, 0, 640, 480)


def test_a_lit_spot_in_a_dark_picture_is_not_cropped_to() -> None:
    luma = np.full((480, 640), 17, np.uint8)
    cv2.circle(luma, (500, 200), 90, 150, -1)
    assert find_picture(luma) == Rect(0, 0, 640, 480)


def test_dark_mucosa_beside_the_lit_part_is_kept() -> None:
    luma = screen()
    half = luma[100:700, 400:700]
    half[half > 16] = np.random.default_rng(0).integers(20, 26, (half > 16).sum(), dtype=np.uint8)
    assert_contains(find_picture(luma))


def test_several_frames_see_what_each_alone_leaves_dark() -> None:
    left, right = screen(), screen()
    left[:, 720:] = 16
    right[:, 400:720] = 16
    finder = PictureFinder()
    for luma in (left, right):
        finder.add(luma)
        assert find_picture(luma).width < PICTURE.width or find_picture(luma) == Rect(0, 0, 1280, 800)
    assert_contains(finder.picture())


def test_planes_with_padded_rows_are_read() -> None:
    padded = np.full((800, 1344), 255, np.uint8)
    padded[:, :1280] = screen()
    assert find_picture(padded[:, :1280]) == find_picture(screen())


def test_adding_a_frame_of_another_size_fails() -> None:
    finder = PictureFinder()
    finder.add(np.zeros((480, 640), np.uint8))
    with pytest.raises(InputError, match="a 320x240 frame in a stream of 640x480"):
        finder.add(np.zeros((240, 320), np.uint8))


@pytest.mark.needs_data
@pytest.mark.parametrize("source", ["kvasir-seg", "extra/polypgen", "extra/bkai-neopolyp", "cvc-612"])
def test_no_polyp_of_real_frames_is_cut(data_dir: Path, source: str) -> None:
    border_rows = 0.005  # of a mask: CVC-612 has four whose annotation runs onto the black border
    cropped = 0
    for path in sorted((data_dir / source / "images").iterdir())[::25]:
        image, mask = read_image(path), read_mask(data_dir / source / "masks" / f"{path.stem}.png")
        found = find_picture(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        kept = mask[found.y : found.y + found.height, found.x : found.x + found.width]
        assert mask.sum() - kept.sum() <= border_rows * mask.sum(), path
        cropped += found.width < image.shape[1]
    if source == "cvc-612":  # each of its frames has a wide black border
        assert cropped == 25


@pytest.mark.parametrize(
    ("text", "crop"),
    [
        ("auto", "auto"),
        ("off", "off"),
        ("0,0,64,48", Rect(0, 0, 64, 48)),
        ("8, 4, 640, 480", Rect(8, 4, 640, 480)),
    ],
)
def test_parse_crop(text: str, crop: object) -> None:
    assert parse_crop(text) == crop


@pytest.mark.parametrize("text", ["", "Auto", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,0,64,64"])
def test_parse_crop_fails(text: str) -> None:
    with pytest.raises(InputError, match="is not understood: give auto, off or x,y,w,h"):
        parse_crop(text)


@pytest.mark.parametrize("text", ["-1,0,64,64", "0,0,0,64"])
def test_parse_crop_fails_on_an_empty_rectangle(text: str) -> None:
    with pytest.raises(InputError, match="negative offset or an empty size"):
        parse_crop(text)
