"""Near-duplicates: on made-up views, and on real ones whose relations are known."""

import csv
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.near_duplicates import SAME, SIDE, describe, find_clusters
from tests.train.prepare.clinic import view


def changed(image: np.ndarray) -> dict[str, np.ndarray]:
    """The same view as another recorder may store it."""
    brighter = np.clip(image * 1.2 + 10, 0, 255).astype(np.uint8)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    border = cv2.copyMakeBorder(image, 10, 10, 60, 20, cv2.BORDER_CONSTANT)
    return {
        "brighter": brighter,
        "compressed": jpeg,
        "larger": cv2.resize(image, None, fx=2.3, fy=2.3),
        "bordered": border,
        "shifted": np.roll(image, (2, 3), axis=(0, 1)),
    }


@pytest.mark.parametrize("change", ["brighter", "compressed", "larger", "bordered", "shifted"])
def test_one_view_stored_twice_is_a_near_duplicate(change):
    for seed in range(8):
        assert describe(view(seed)) @ describe(changed(view(seed))[change]) >= SAME


def test_other_views_are_not_even_with_the_same_border():
    framed = [cv2.copyMakeBorder(view(seed), 10, 10, 60, 20, cv2.BORDER_CONSTANT) for seed in range(40)]
    maps = np.stack([describe(image) for image in framed])
    assert np.array_equal(find_clusters(maps), np.arange(40))


def test_images_without_contrast_are_alike():
    black, grey = np.zeros((96, 120, 3), np.uint8), np.full((96, 120, 3), 90, np.uint8)
    assert np.array_equal(
        find_clusters(np.stack([describe(image) for image in (black, grey, view(0))])), [0, 0, 2]
    )


def test_chains_join_also_across_blocks(monkeypatch):
    monkeypatch.setattr("rtpolyp.imaging.near_duplicates.BLOCK", 2)
    angles = np.radians(
        [0, 180, 40, 220, 80, 300]
    )  # 0–40–80 are neighbours within acos(0.7) = 45°, 180–220 too
    maps = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert find_clusters(maps).tolist() == [0, 1, 0, 1, 0, 5]


def test_ten_thousand_images_are_compared_in_seconds():
    maps = np.random.default_rng(0).normal(size=(10_000, SIDE**2)).astype(np.float32)
    maps /= np.linalg.norm(maps, axis=1, keepdims=True)
    maps[5000:] = maps[:5000]
    started = time.process_time()
    labels = find_clusters(maps)
    assert time.process_time() - started < 30  # 1 s on one core; a loop over the pairs takes minutes
    assert np.array_equal(labels, np.tile(np.arange(5000), 2))


def maps_of(folder: Path) -> tuple[list[str], np.ndarray]:
    files = sorted(folder.iterdir())
    with ThreadPoolExecutor(2) as pool:
        return [file.stem for file in files], np.stack(
            list(pool.map(lambda file: describe(read_image(file)), files))
        )


@pytest.mark.needs_data
def test_the_known_pairs_of_kvasir_seg_are_found_and_few_others(data_dir):
    names, maps = maps_of(data_dir / "kvasir-seg" / "images")
    labels = dict(zip(names, find_clusters(maps).tolist(), strict=True))
    with (data_dir / "kvasir-seg" / "near_duplicates.tsv").open() as file:
        known = [(row["a"], row["b"]) for row in csv.DictReader(file, delimiter="\t")]
    assert len(known) == 5
    assert all(labels[a] == labels[b] for a, b in known)
    # of 499,500 pairs, nineteen: the five, and fourteen that show one view each, seen by eye
    assert np.count_nonzero(np.triu(maps @ maps.T, 1) >= SAME) == 19


@pytest.mark.needs_data
def test_no_two_sequences_of_cvc_612_are_joined(data_dir):
    names, maps = maps_of(data_dir / "cvc-612" / "images")
    with (data_dir / "cvc-612" / "sequences.csv").open() as file:
        sequences = {row["frame"]: row["sequence_id"] for row in csv.DictReader(file)}
    sequence = np.array([sequences[name] for name in names])
    labels = find_clusters(maps)
    assert all(len(set(sequence[labels == label])) == 1 for label in np.unique(labels))
    different = sequence[:, None] != sequence[None]
    assert (maps @ maps.T)[different].max() < 0.65
    # what is found is a part of what belongs together: only a table of patients tells the rest
    together = np.triu(~different, 1)
    assert 0.05 < (labels[:, None] == labels[None])[together].mean() < 0.1
