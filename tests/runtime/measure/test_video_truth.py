import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.video_truth import no_polyps, read_sequences, read_truth, regions


def write_masks(folder: Path, *names: str) -> Path:
    """Masks of 80×60 with a square as wide as the file's number plus one."""
    folder.mkdir()
    for index, name in enumerate(names):
        mask = np.zeros((60, 80), np.uint8)
        mask[10:20, 10 : 11 + index] = 255
        assert cv2.imwrite(str(folder / name), mask)
    return folder


@pytest.mark.parametrize("names", [("0.png", "1.png", "2.png"), ("000000.png", "000001.png", "000002.png")])
def test_masks_are_taken_by_their_number(tmp_path: Path, names: tuple[str, ...]) -> None:
    truth = read_truth(write_masks(tmp_path / "masks", *names))
    assert truth.count == 3
    assert truth.outlined
    assert [[int(mask.sum()) for mask in frame] for frame in truth.frames] == [[10], [20], [30]]


def test_ten_masks_are_in_numeric_order(tmp_path: Path) -> None:
    truth = read_truth(write_masks(tmp_path / "masks", *(f"{index}.png" for index in range(11))))
    assert [int(frame[0].sum()) for frame in truth.frames] == [10 * (index + 1) for index in range(11)]


def test_masks_fail_where_one_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no mask of frame 1 \(2 are missing\)"):
        read_truth(write_masks(tmp_path / "masks", "0.png", "3.png"))
    with pytest.raises(InputError, match="no mask named by a frame's index"):
        read_truth(write_masks(tmp_path / "named", "polyp.png"))


def test_regions_leave_slips_of_the_brush_out() -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[10:20, 10:20] = mask[20:30, 20:30] = True  # joined at a corner
    mask[100:104, 100:104] = True
    mask[150, 150] = True
    assert sorted(int(region.sum()) for region in regions(mask)) == [16, 200]


def test_boxes(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    frames = [[{"bbox": [2, 3, 6, 8]}, {"bbox": [10, 10, 99, 20]}], []]
    path.write_text(json.dumps({"width": 40, "height": 30, "frames": frames}))
    truth = read_truth(path)
    assert (truth.count, truth.outlined) == (2, False)
    first, second = truth.frames
    assert [int(mask.sum()) for mask in first] == [20, 300]
    assert first[0][3, 2]
    assert not first[0][8, 2]
    assert second == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not a list of boxes"),
        ('{"width": 4, "height": 4, "frames": [[{"bbox": [1, 2, 3]}]]}', "a bbox has four numbers"),
        ('{"width": 4, "height": 4, "frames": [[{"box": [1, 2, 3, 4]}]]}', "not a list of boxes"),
    ],
)
def test_boxes_fail(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_truth(path)


def test_truth_fails_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.json: no such file"):
        read_truth(tmp_path / "absent.json")


def test_no_polyps_lasts() -> None:
    truth = no_polyps()
    assert truth.count is None
    assert [next(truth.frames) for _ in range(3)] == [(), (), ()]


def test_sequences(tmp_path: Path) -> None:
    path = tmp_path / "sequences.json"
    rows = [{"video_frame": 1, "sequence_id": 7}, {"video_frame": 0, "sequence_id": 3, "more": "x"}]
    path.write_text(json.dumps(rows))
    assert read_sequences(path) == ["3", "7"]
    path.write_text(json.dumps([{"video_frame": 1, "sequence_id": 7}]))
    with pytest.raises(InputError, match="not a list of frames"):
        read_sequences(path)


@pytest.mark.needs_data
def test_the_real_clips_truth(data_dir: Path) -> None:
    boxes = read_truth(data_dir / "videos" / "polyp_seq1_gt_boxes.json")
    assert boxes.count == 53
    assert sum(len(frame) for frame in boxes.frames) == 61
    ids = read_sequences(data_dir / "videos" / "cvc612_test_sequences.json")
    assert (len(ids), len(set(ids))) == (61, 4)
