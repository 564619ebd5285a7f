import math
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import EngineError, InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.measure.dataset import Pair, load_pairs
from rtpolyp.measure.evaluation import (
    evaluate_engine,
    evaluate_predictions,
    predict,
    read_cropped,
    read_pair,
    score_frame,
)
from rtpolyp.settings import Settings
from rtpolyp.spec import image_fingerprint

HALF = Settings(0.5, 0.0, 0.0)
PAIR = Pair(Path("image"), Path("mask"), "name", "group", "")
OUTLINE = 0.02  # of Dice: outlines are smoothed on the network's grid, here two pixels wide
FIXED_POINT = 0.002  # of the pixels: OpenCV interpolates bytes with 11-bit weights


def naive_bilinear(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixel centres at half-integers, border pixels repeated: what align_corners=False means."""
    (height, width), (new_width, new_height) = pixels.shape, size
    result = np.zeros((new_height, new_width))
    for row in range(new_height):
        for column in range(new_width):
            y = (row + 0.5) * height / new_height - 0.5
            x = (column + 0.5) * width / new_width - 0.5
            for yy, wy in ((math.floor(y), 1 - y % 1), (math.floor(y) + 1, y % 1)):
                for xx, wx in ((math.floor(x), 1 - x % 1), (math.floor(x) + 1, x % 1)):
                    value = pixels[min(max(yy, 0), height - 1), min(max(xx, 0), width - 1)]
                    result[row, column] += wy * wx * value
    return result


def blobs(seed: int, size: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).random((size[1], size[0]), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


@pytest.mark.parametrize("size", [(61, 47), (20, 90), (32, 24)])
def test_the_headline_is_taken_at_ground_truth_size(size: tuple[int, int]) -> None:
    probability, truth = blobs(0, (32, 24)), blobs(1, size) > 140
    predicted = naive_bilinear(probability, size) >= 127.5
    score = score_frame(PAIR, probability, truth, HALF)
    assert score.half.predicted == pytest.approx(predicted.sum(), abs=FIXED_POINT * truth.size)
    dice = 2 * (predicted & truth).sum() / (predicted.sum() + truth.sum())
    assert score.half.dice == pytest.approx(dice, abs=2 * FIXED_POINT)


def test_small_scores_are_those_of_256_pixels() -> None:
    probability, truth = blobs(2, (40, 40)), blobs(3, (256, 256)) > 120
    score = score_frame(PAIR, probability, truth, HALF)
    soft = naive_bilinear(probability, (256, 256)) / 255
    assert score.soft_dice == pytest.approx(
        (2 * (soft * truth).sum() + 1) / (soft.sum() + truth.sum() + 1), abs=FIXED_POINT
    )
    assert score.small.truth == truth.sum()
    assert score.small.total == 256 * 256


def test_the_operating_point_filters_by_area_and_confidence() -> None:
    truth = np.zeros((96, 128), bool)
    truth[20:60, 20:60] = True
    probability = truth.astype(np.uint8) * np.uint8(250)
    probability[70:90, 70:90] = 150  # a weak region
    probability[5:8, 100:103] = 250  # a small one
    everything = score_frame(PAIR, probability, truth, HALF)
    assert (everything.detection.outlines, everything.detection.false_outlines) == (3, 2)
    point = Settings(0.5, minimum_area=0.005, minimum_confidence=0.8)
    score = score_frame(PAIR, probability, truth, point)
    assert (score.detection.outlines, score.detection.found, len(score.polyps)) == (1, 1, 1)
    assert score.operating.dice == pytest.approx(1.0, abs=OUTLINE)
    assert score.half == everything.half
    assert score.half_detection == everything.half_detection == everything.detection


def test_the_threshold_moves_the_operating_point_only() -> None:
    truth = np.zeros((96, 128), bool)
    truth[20:60, 20:60] = True
    probability = truth.astype(np.uint8) * np.uint8(170)
    score = score_frame(PAIR, probability, truth, Settings(0.8, 0.0, 0.0))
    assert score.half.dice == 1.0
    assert (score.operating.dice, score.detection.outlines) == (0.0, 0)


def test_specks_in_the_truth_are_no_polyps() -> None:
    truth = np.zeros((200, 200), bool)
    truth[50:100, 50:100] = True
    truth[10, 10] = truth[150, 150:152] = True  # 1 and 2 of 40,000 pixels
    truth[180:183, 180:182] = True  # 6: small, but a region
    score = score_frame(PAIR, np.zeros((64, 64), np.uint8), truth, HALF)
    assert score.detection.polyps == 2
    assert score.half.truth == truth.sum()


def test_regions_that_touch_at_a_corner_are_one() -> None:
    truth = np.zeros((96, 96), bool)
    truth[20:40, 20:40] = truth[40:60, 40:60] = True
    score = score_frame(PAIR, truth.astype(np.uint8) * np.uint8(255), truth, HALF)
    assert (score.half_detection.polyps, score.half_detection.outlines) == (1, 1)
    assert (score.detection.outlines, score.detection.found) == (1, 1)


@pytest.mark.parametrize("value", [0, 127, 128, 255])
def test_degenerate_predictions(value: int) -> None:
    probability = np.full((32, 32), value, np.uint8)
    for truth in (np.ones((50, 40), bool), np.eye(50, 40) > 2, np.eye(50, 40) > 0):
        score = score_frame(PAIR, probability, truth, HALF)
        assert score.half.predicted == (truth.size if value >= 128 else 0)
        assert score.has_polyp == truth.any()
        assert math.isnan(score.half.dice) == math.isnan(score.soft_dice) == (not truth.any())
    full = score_frame(PAIR, probability, np.ones((50, 40), bool), HALF)
    assert (full.half.dice, full.operating.dice) == pytest.approx((value // 128,) * 2, abs=OUTLINE)


def test_evaluate_engine(discs: Path, red_engine: Callable) -> None:
    reports: list[tuple[int, int]] = []
    with red_engine() as engine:
        result = evaluate_engine(engine, load_pairs(discs), HALF, progress=lambda *done: reports.append(done))
    scores = {score.pair.name: score for score in result.frames}
    assert list(scores) == ["clean", "found", "missed", "outlined"]
    assert scores["found"].half.dice > 0.95
    assert scores["missed"].half.dice == 0.0
    assert (result.dice, result.iou) == (
        pytest.approx(scores["found"].half.dice / 2),
        pytest.approx(scores["found"].half.iou / 2),
    )
    found = {
        name: (s.detection.polyps, s.detection.found, s.detection.false_outlines)
        for name, s in scores.items()
    }
    assert found == {"clean": (0, 0, 0), "found": (1, 1, 0), "missed": (1, 0, 1), "outlined": (0, 0, 1)}
    assert reports == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert engine.most_in_flight == engine.capacity
    assert result.source == engine.description


def test_a_crop_shows_the_engine_the_picture_and_scores_the_whole_frame(
    discs: Path, tmp_path: Path, red_engine: Callable
) -> None:
    """The same frames within a black border: what is found on them stays, at its place in the wider frame."""
    bordered = shutil.copytree(discs, tmp_path / "bordered")
    for kind in ("images", "masks"):
        for file in (bordered / kind).iterdir():
            wide = cv2.copyMakeBorder(
                cv2.imread(str(file), cv2.IMREAD_UNCHANGED), 40, 60, 80, 20, cv2.BORDER_CONSTANT
            )
            assert cv2.imwrite(str(file), wide)
    with red_engine() as engine:
        plain = evaluate_engine(engine, load_pairs(discs), HALF)
        cropped = evaluate_engine(engine, load_pairs(bordered), HALF, crop="auto")
        whole = evaluate_engine(engine, load_pairs(bordered), HALF)
    for one, other, wide in zip(plain.frames, cropped.frames, whole.frames, strict=True):
        assert other.half.total == wide.half.total > one.half.total
        assert other.half.truth == one.half.truth
        assert other.half.predicted == pytest.approx(one.half.predicted, rel=0.04)
        shift = [polyp.box.x - plain.box.x for polyp, plain in zip(other.polyps, one.polyps, strict=True)]
        assert shift == pytest.approx([80] * len(shift), abs=3)
    assert cropped.dice == pytest.approx(plain.dice, abs=0.02)


def test_a_cropped_pair_has_image_and_truth_alike(discs: Path) -> None:
    pair = load_pairs(discs)[1]
    image, truth = read_cropped(pair, Rect(20, 10, 100, 80))
    whole, whole_truth = read_cropped(pair, "off")
    assert np.array_equal(image, whole[10:90, 20:120])
    assert np.array_equal(truth, whole_truth[10:90, 20:120])


def test_the_engine_sees_what_degrading_left(discs: Path, red_engine: Callable) -> None:
    with red_engine() as engine:
        evaluation = evaluate_engine(
            engine, load_pairs(discs), degrade=lambda pair, image: image * np.uint8(pair.name != "found")
        )
    outlines = {frame.pair.name: len(frame.polyps) for frame in evaluation.frames}
    assert outlines == {"clean": 0, "found": 0, "missed": 1, "outlined": 1}


def test_evaluate_engine_takes_the_bundles_operating_point(discs: Path, red_engine: Callable) -> None:
    with red_engine(threshold=0.7, minimum_area=0.5, minimum_confidence=0.6) as engine:
        result = evaluate_engine(engine, load_pairs(discs))
    assert result.settings == Settings(0.7, 0.5, 0.6)
    assert not any(score.polyps for score in result.frames)  # each disc is smaller than half of the picture
    assert result.dice > 0


def test_evaluate_engine_leaves_out_what_was_seen(discs: Path, red_engine: Callable) -> None:
    pairs = load_pairs(discs)
    seen = tuple(image_fingerprint(pair.image) for pair in pairs if pair.name in ("clean", "found"))
    with red_engine(trained_on=seen) as engine:
        result = evaluate_engine(engine, pairs, HALF)
        everything = evaluate_engine(engine, pairs, HALF, include_seen=True)
    assert ([score.pair.name for score in result.frames], result.seen) == (["missed", "outlined"], 2)
    assert (len(everything.frames), everything.seen, everything.seen_included) == (4, 2, True)


def test_evaluate_engine_fails_when_all_was_seen(discs: Path, red_engine: Callable) -> None:
    pairs = load_pairs(discs)
    seen = tuple(image_fingerprint(pair.image) for pair in pairs)
    complaint = pytest.raises(
        InputError, match=r"all 4 frames were used to train .* red: .* include the seen"
    )
    with red_engine(trained_on=seen) as engine, complaint:
        evaluate_engine(engine, pairs, HALF)


def test_evaluate_engine_passes_on_a_failing_engine(discs: Path, red_engine: Callable) -> None:
    with red_engine() as engine:
        engine.infer = lambda frames: (_ for _ in ()).throw(EngineError("device lost"))
        with pytest.raises(EngineError, match="device lost"):
            evaluate_engine(engine, load_pairs(discs), HALF)


def test_read_pair_fails_on_sizes_that_differ(discs: Path) -> None:
    pair = load_pairs(discs)[0]
    assert cv2.imwrite(str(pair.mask), np.zeros((10, 20), np.uint8))
    with pytest.raises(InputError, match=r"clean\.png: 20x10 pixels, but the image has 256x192"):
        read_pair(pair)


def write_predictions(
    folder: Path, pairs: list[Pair], scale: int = 1, size: tuple[int, int] | None = None
) -> Path:
    folder.mkdir()
    for pair in pairs:
        mask = cv2.imread(str(pair.mask), cv2.IMREAD_GRAYSCALE) // scale
        mask = mask if size is None else cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
        assert cv2.imwrite(str(folder / f"{pair.name}.png"), mask)
    return folder


def test_evaluate_predictions(discs: Path, tmp_path: Path) -> None:
    pairs = load_pairs(discs)
    exact = evaluate_predictions(write_predictions(tmp_path / "exact", pairs), pairs, HALF)
    assert (exact.dice, exact.iou, exact.seen) == (1.0, 1.0, 0)
    small = evaluate_predictions(write_predictions(tmp_path / "small", pairs, size=(100, 90)), pairs, HALF)
    assert 0.95 < small.dice < 1.0


def test_saved_maps_score_as_their_engine_does(discs: Path, tmp_path: Path, red_engine: Callable) -> None:
    pairs = load_pairs(discs)
    with red_engine() as engine:
        direct = evaluate_engine(engine, pairs, HALF)
        for name, probability in predict(engine, ((pair.name, read_pair(pair)[0]) for pair in pairs)):
            assert cv2.imwrite(str(tmp_path / f"{name}.png"), probability)
    saved = evaluate_predictions(tmp_path, pairs, HALF)
    for ours, theirs in zip(direct.frames, saved.frames, strict=True):
        assert (ours.half, ours.operating, ours.small) == (theirs.half, theirs.operating, theirs.small)
        assert (ours.half_detection, ours.detection) == (theirs.half_detection, theirs.detection)


def test_evaluate_predictions_fails(discs: Path, tmp_path: Path) -> None:
    pairs = load_pairs(discs)
    with pytest.raises(InputError, match="absent: no such folder"):
        evaluate_predictions(tmp_path / "absent", pairs, HALF)
    folder = write_predictions(tmp_path / "some", pairs[:2])
    with pytest.raises(InputError, match=r"missed\.png: no prediction for this frame \(2 of 4 are missing\)"):
        evaluate_predictions(folder, pairs, HALF)
    ones = write_predictions(tmp_path / "ones", pairs, scale=255)
    with pytest.raises(InputError, match="ones: no value above 1 in any file"):
        evaluate_predictions(ones, pairs, HALF)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((8, 8), np.uint16), "1 channels of 16 bits"),
        (np.zeros((8, 8, 3), np.uint8), "3 channels of 8 bits"),
        (None, "not a readable image"),
    ],
)
def test_evaluate_predictions_fails_on_other_images(
    discs: Path, tmp_path: Path, pixels: np.ndarray | None, message: str
) -> None:
    path = tmp_path / "found.png"
    path.write_bytes(b"text" if pixels is None else cv2.imencode(".png", pixels)[1].tobytes())
    with pytest.raises(InputError, match=rf"found\.png: {message}"):
        evaluate_predictions(tmp_path, [pair for pair in load_pairs(discs) if pair.name == "found"], HALF)
