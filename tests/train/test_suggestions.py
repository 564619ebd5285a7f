"""The experiment on suggested frames: no sequence both teaches and tests, and videos keep every pixel."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from scripts.suggestions.archive import FOLDS, as_fine_tuning_set, as_video, fold_frames

SEQUENCES, FRAMES = 7, 4


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """A data set of SEQUENCES sequences, whose names do not sort as their time does."""
    folder, rng = tmp_path / "hospital", np.random.default_rng(0)
    lines = ["frame,sequence_id,index_in_sequence"]
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for sequence in range(1, SEQUENCES + 1):
        for index in range(FRAMES):
            name = f"{sequence}-{FRAMES - index}"
            cv2.imwrite(str(folder / "images" / f"{name}.png"), rng.integers(0, 256, (48, 64, 3), np.uint8))
            cv2.imwrite(str(folder / "masks" / f"{name}.png"), np.full((48, 64), 255, np.uint8))
            lines.append(f"{name},{sequence},{index}")
    (folder / "sequences.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_each_sequence_tests_once_and_never_where_it_teaches(hospital: Path) -> None:
    folds = [fold_frames(hospital, number) for number in range(FOLDS)]
    for fold in folds:
        tested = {pair.group for pair in fold.test}
        assert tested.isdisjoint(fold.archive)
        assert len(tested) + len(fold.archive) == SEQUENCES
    names = [pair.name for fold in folds for pair in fold.test]
    assert len(names) == len(set(names)) == SEQUENCES * FRAMES


def test_a_sequence_is_a_video_in_the_order_of_time_without_loss(hospital: Path, tmp_path: Path) -> None:
    frames = next(iter(fold_frames(hospital, 0).archive.values()))
    assert [pair.name[-1] for pair in frames] == ["4", "3", "2", "1"]
    as_video(frames, tmp_path / "videos" / "one.mkv")
    with av.open(str(tmp_path / "videos" / "one.mkv")) as video:
        decoded = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
    assert len(decoded) == FRAMES
    for pair, pixels in zip(frames, decoded, strict=True):
        assert np.array_equal(cv2.imread(str(pair.image)), pixels)


def test_what_is_labelled_is_trained_on_and_nothing_else(hospital: Path, tmp_path: Path) -> None:
    frames = fold_frames(hospital, 0).test
    source = as_fine_tuning_set(frames[:5], frames[5:7], tmp_path / "own")
    assert [pair.name for pair in source.pairs("train")] == [pair.name for pair in frames[:5]]
    assert [pair.name for pair in source.pairs("val")] == [pair.name for pair in frames[5:7]]
