from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.dataset import images_by_stem, load_pairs, split_seen
from rtpolyp.spec import EngineSpec, image_fingerprint


def test_load_pairs_takes_every_image(discs: Path) -> None:
    pairs = load_pairs(discs)
    assert [pair.name for pair in pairs] == ["clean", "found", "missed", "outlined"]
    assert pairs[1].image == discs / "images" / "found.png"
    assert pairs[1].mask == discs / "masks" / "found.png"
    assert (pairs[1].group, pairs[1].family) == ("found", "")


def test_load_pairs_does_not_mind_the_extension(discs: Path) -> None:
    (discs / "images" / "found.png").rename(discs / "images" / "found.JPG")
    (discs / "images" / "notes.txt").write_text("not an image")
    assert [pair.image.name for pair in load_pairs(discs)][1] == "found.JPG"


@pytest.mark.parametrize("place", ["splits", "../splits"])
def test_load_pairs_finds_a_split_by_name(discs: Path, place: str) -> None:
    (discs / place).mkdir()
    (discs / place / "some_test.txt").write_text("missed\nfound\n\nmissed\n")
    assert [pair.name for pair in load_pairs(discs, "some_test")] == ["missed", "found"]


def test_load_pairs_takes_the_path_of_a_split(discs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("found\r\n")
    assert [pair.name for pair in load_pairs(discs, str(tmp_path / "mine.txt"))] == ["found"]


def test_load_pairs_fails_on_an_unknown_split(discs: Path) -> None:
    with pytest.raises(InputError, match=r"nothing: no such split of .*discs; give the path"):
        load_pairs(discs, "nothing")
    (discs / "splits").mkdir()
    (discs / "splits" / "a_test.txt").write_text("found")
    (discs / "splits" / "b_test.txt").write_text("found")
    with pytest.raises(InputError, match=r"nothing: no such split of .*discs; there are: a_test, b_test"):
        load_pairs(discs, "nothing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "the split is empty"),
        (b"absent\n", "'absent' is not in"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_load_pairs_fails_on_a_bad_split(discs: Path, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_pairs(discs, str(tmp_path / "bad.txt"))


def test_load_pairs_fails_without_a_mask(discs: Path) -> None:
    (discs / "masks" / "found.png").unlink()
    with pytest.raises(InputError, match=r"images/found\.png: no mask .*masks/found\.\*"):
        load_pairs(discs)
    (discs / "masks" / "found.npz").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"masks/found\.npz: a mask of the kind \.npz is not read; convert it"
    ):
        load_pairs(discs)


def test_load_pairs_fails_without_its_folders(discs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent: no such folder"):
        load_pairs(tmp_path / "absent")
    for path in (discs / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="images: no images"):
        load_pairs(discs)


def test_load_pairs_fails_on_two_images_of_one_name(discs: Path) -> None:
    (discs / "images" / "found.jpg").write_bytes((discs / "images" / "found.png").read_bytes())
    with pytest.raises(InputError, match=r"found\.jpg has the same name"):
        load_pairs(discs)


def test_groups_of_sequences(discs: Path) -> None:
    (discs / "sequences.csv").write_text("frame,sequence_id,index_in_sequence\nfound,3,0\nmissed,3,1\n")
    pairs = {pair.name: pair for pair in load_pairs(discs)}
    assert (pairs["found"].group, pairs["missed"].family) == ("sequence 3", "sequence 3")
    assert pairs["clean"].group == "clean"


def test_groups_beside_the_folder_of_the_same_source_only(discs: Path) -> None:
    rows = ["source,stem,family,group", "discs,found,hospital-A,g1", "other,missed,hospital-B,g2"]
    (discs.parent / "groups.csv").write_text("\n".join(rows))
    pairs = {pair.name: pair for pair in load_pairs(discs)}
    assert pairs["found"][3:] == ("g1", "hospital-A")
    assert pairs["missed"][3:] == ("missed", "")


def test_groups_inside_the_folder_are_its_own(discs: Path) -> None:
    (discs.parent / "groups.csv").write_text("source,stem,family,group\ndiscs,found,,beside")
    (discs / "groups.csv").write_text("stem,family,group\nfound,,p1\nmissed,,p1")
    pairs = {pair.name: pair for pair in load_pairs(discs)}
    assert (pairs["found"].group, pairs["missed"].group, pairs["clean"].group) == ("p1", "p1", "clean")


def test_groups_fail_without_a_column(discs: Path) -> None:
    (discs / "sequences.csv").write_text("frame,sequence\nfound,3\n")
    with pytest.raises(InputError, match=r"sequences\.csv: columns frame, sequence; write file,patient in"):
        load_pairs(discs)


def test_pictures_of_a_kind_that_is_not_read_fail_by_name(discs: Path) -> None:
    (discs / "images" / "phone.heic").write_bytes(bytes(9))
    with pytest.raises(InputError, match=r"phone\.heic: pictures of the kind \.heic are not read"):
        load_pairs(discs)


def test_hidden_files_of_operating_systems_are_no_frames(discs: Path) -> None:
    for part in ("images", "masks"):
        (discs / part / "._found.png").write_bytes(bytes(4096))
    assert {pair.name for pair in load_pairs(discs)} == {"clean", "found", "missed", "outlined"}


def test_split_seen(discs: Path) -> None:
    pairs = load_pairs(discs)
    known = tuple(image_fingerprint(pair.image) for pair in pairs[:1])
    spec = EngineSpec("red", "rule", "none", 96, 128, 0.5, 0.0, 0.0, trained_on=known)
    unseen, seen = split_seen(pairs, spec)
    assert ([pair.name for pair in unseen], [pair.name for pair in seen]) == (
        ["found", "missed", "outlined"],
        ["clean"],
    )


def test_images_by_stem(discs: Path) -> None:
    assert set(images_by_stem(discs / "masks")) == {"clean", "found", "missed", "outlined"}


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("folder", "split", "frames", "groups", "families"),
    [
        ("kvasir-seg", "paper80-10-10_test", 100, 100, {""}),
        ("cvc-612", "sequence80-10-10_test", 61, 4, {f"sequence {n}" for n in (10, 23, 25, 26)}),
        ("extra/polypgen", "negatives_test", 15, 6, {"polypgen-numbered", "polypgen-olcv"}),
        ("extra/bkai-neopolyp", "bkai-neopolyp_test", 105, 105, {"bkai"}),
    ],
)
def test_load_pairs_of_the_real_sets(
    data_dir: Path, folder: str, split: str, frames: int, groups: int, families: set[str]
) -> None:
    pairs = load_pairs(data_dir / folder, split)
    assert (len(pairs), len({pair.group for pair in pairs})) == (frames, groups)
    assert {pair.family for pair in pairs} == families
    assert np.all([pair.image.is_file() and pair.mask.is_file() for pair in pairs])


def test_masks_of_no_image_are_said(discs: Path, caplog) -> None:
    (discs / "masks" / "found_mask.png").write_bytes((discs / "masks" / "found.png").read_bytes())
    assert len(load_pairs(discs)) == 4
    assert "masks of no image (1): found_mask" in caplog.text
