"""Published archives in the layouts that they have, made of our own pictures under their files' names."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.dataset import load_pairs
from tests.train.prepare.clinic import disc, view, write
from train.command_line import run_command_line
from train.prepare import Options, prepare
from train.prepare.__main__ import app
from train.prepare.archives import DATASETS, Dataset, lists_of

LAYOUTS = {
    "kvasir-seg": ("Kvasir-SEG/images/{}.jpg", "Kvasir-SEG/masks/{}.jpg"),
    "hyperkvasir": ("labeled/segmented-images/images/{}.jpg", "labeled/segmented-images/masks/{}.jpg"),
    "cvc-clinicdb": ("CVC-ClinicDB/Original/{}.tif", "CVC-ClinicDB/Ground Truth/{}.tif"),
    "cvc-clinicdb, PNG": ("archive/PNG/Original/{}.png", "archive/PNG/Ground Truth/{}.png"),
    "polypgen": ("v3/data_C1/images_C1/{}.jpg", "v3/data_C1/masks_C1/{}_mask.jpg"),
    "bkai": ("train/train/{}.jpeg", "train_gt/train_gt/{}.jpeg"),
    "etis": ("ETIS/ETIS-LaribPolypDB/{}.tif", "ETIS/Ground Truth/p{}.tif"),
    "cvc-colondb": ("TestDataset/CVC-ColonDB/images/{}.png", "TestDataset/CVC-ColonDB/masks/{}.png"),
}


def archive(folder: Path, layout: str, names: list[str]) -> Path:
    """Frames under the archive's names; every fourth mask has two colours, as BKAI's have."""
    image, mask = LAYOUTS[layout]
    for index, name in enumerate(names):
        polyp = disc(8 + index % 20)
        colour = (0, 200, 0) if layout == "bkai" and index % 4 == 0 else (255, 255, 255)
        write(folder / image.format(name), view(index))
        write(folder / mask.format(name), (polyp[:, :, None] * np.array(colour, np.uint8)).astype(np.uint8))
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_archive_becomes_the_layout_that_commands_read(layout, tmp_path):
    dataset = layout.partition(",")[0]
    names = [f"{index}" for index in range(1, 600, 20)]  # of many of CVC-ClinicDB's sequences
    folder = archive(tmp_path / "archive", layout, names)
    prepare(folder, tmp_path / "out", Options(dataset=dataset))
    pairs = load_pairs(tmp_path / "out")
    assert sorted(pair.name for pair in pairs) == sorted(names)
    for pair in pairs:
        mask = cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(mask)) == {0, 255}
        radius = 8 + int(pair.name) // 20 % 20
        assert (mask > 0).sum() == pytest.approx(disc(radius).sum(), rel=0.1)


@pytest.mark.parametrize("dataset", [name for name, one in DATASETS.items() if one.lists])
def test_the_lists_in_the_repository_share_no_frame_between_parts(dataset):
    files = sorted(DATASETS[dataset].splits.glob("*_*.txt"))
    names = {name for file in files for name in file.read_text().split()}
    lists = lists_of(dataset, sorted(names))
    assert lists.keys() == {file.stem for file in files}
    for split in {stem.rpartition("_")[0] for stem in lists}:
        parts = [set(members) for stem, members in lists.items() if stem.rpartition("_")[0] == split]
        assert len(set.union(*parts)) == sum(map(len, parts))


def test_published_parts_are_used_where_all_their_frames_are_there(tmp_path, monkeypatch):
    names = [f"{index}" for index in range(1, 31)]
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "paper_train.txt").write_text("\n".join(names[:20]))
    (lists / "paper_test.txt").write_text("\n".join(names[20:]))
    (lists / "other_test.txt").write_text("elsewhere")
    rows = [f"{name},{int(name) // 9}" for name in names]
    (lists / "sequences.csv").write_text("\n".join(["frame,sequence_id", *rows]))
    monkeypatch.setattr("train.prepare.archives.LISTS", tmp_path)
    monkeypatch.setitem(DATASETS, "cvc-clinicdb", Dataset(DATASETS["etis"].layouts, "lists"))
    folder = archive(tmp_path / "archive", "etis", names)
    report = prepare(folder, tmp_path / "out", Options(dataset="cvc-clinicdb"))
    assert set(report.parts) == {"paper_train", "paper_test"}
    pairs = load_pairs(tmp_path / "out", "paper_test")
    assert [pair.name for pair in pairs] == names[20:]
    assert {pair.family for pair in pairs} == {"sequence 2", "sequence 3"}


def test_an_incomplete_archive_is_drawn_anew_with_a_warning(tmp_path):
    folder = archive(tmp_path / "archive", "kvasir-seg", [f"{index}" for index in range(30)])
    report = prepare(folder, tmp_path / "out", Options(dataset="kvasir-seg"))
    assert set(report.parts) == {"own_train", "own_val", "own_test"}
    assert any("name frames that are not here: parts were drawn" in line for line in report.warnings)


def test_a_mask_that_is_missing_is_named(tmp_path):
    folder = archive(tmp_path / "archive", "etis", ["1", "2", "3"])
    (folder / "ETIS/Ground Truth/p2.tif").unlink()
    with pytest.raises(InputError, match=r"2\.tif: no mask .*Ground Truth/p2\.\*"):
        prepare(folder, tmp_path / "out", Options(dataset="etis"))


def test_another_archive_is_refused_with_what_was_expected(tmp_path, capsys):
    folder = archive(tmp_path / "archive", "bkai", ["1", "2"])
    assert run_command_line(app, [str(folder), "--dataset", "polypgen"]) == 2
    said = capsys.readouterr().err
    assert "not the archive of polypgen, which has images_C*/ with masks_C*/ or images/ with masks/" in said
    shutil.rmtree(folder)
    assert run_command_line(app, [str(folder), "--dataset", "polyps"]) == 2
    assert (
        "--dataset 'polyps' is unknown; did you mean polypgen? there are: kvasir-seg, hyperkvasir"
        in capsys.readouterr().err
    )
