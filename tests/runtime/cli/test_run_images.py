"""`rtpolyp run` on folders of images: one bad file, equal names, outputs in one place, and going on."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rtpolyp.cli import run_command_line
from tests.runtime.red_disc import disc
from tests.runtime.tiny_bundle import write_tiny_bundle

SIZE = (160, 128)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path_factory.getbasetemp() / "calibration"))


def run(bundle: Path, *arguments: object) -> int:
    return run_command_line(["run", *map(str, arguments), "--engine", str(bundle), "--precision", "fp32"])


def write(name: str, index: int = 0) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(disc(index, SIZE)[:, :, ::-1].copy()).save(path)
    return path


def names_in(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def frames_of(path: str) -> list[str]:
    _, *lines, _ = map(json.loads, Path(path).read_text().splitlines())
    return [line["name"] for line in lines]


def summary_of(path: str) -> dict:
    return json.loads(Path(path).read_text().splitlines()[-1])["summary"]


def half(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize("bad", ["b.jpg", "b.png", "b.tif", "b.webp"])
def test_one_bad_file_is_left_out_and_listed_and_the_exit_code_says_so(bundle, capsys, bad):
    write("in/a.jpg")
    half(write(f"in/{bad}"))
    write("in/c.jpg")
    assert run(bundle, "in", "--json", "out.jsonl") == 2
    assert names_in("in.polyps") == ["a.png", "c.png"]
    assert frames_of("out.jsonl") == ["a", "c"]
    said = capsys.readouterr().out
    assert "left out, for they cannot be read (1):" in said
    assert f"in/{bad}: " in said.splitlines()[-1]
    assert summary_of("out.jsonl")["frames"] == 2
    assert len(summary_of("out.jsonl")["remarks"]) == 1
    assert run(bundle, "in", "--keep-going") == 0


def test_a_link_that_leads_nowhere_is_listed(bundle, capsys):
    write("in/a.jpg")
    Path("in/b.jpg").symlink_to("nowhere.jpg")
    Path("in/c.jpg").mkdir()
    assert run(bundle, "in", "-o", "out") == 2
    assert "  in/b.jpg: no such file; give an image" in capsys.readouterr().out
    assert [path.name for path in Path("out").iterdir()] == ["a.png"]


def test_a_folder_of_nothing_but_bad_files_is_an_error_whatever_was_asked_for(bundle):
    half(write("in/a.jpg"))
    half(write("in/b.jpg"))
    assert run(bundle, "in", "--keep-going") == 2


def test_a_picture_of_an_unread_kind_is_listed_too(bundle, capsys):
    write("in/a.jpg")
    Path("in/phone.heic").write_bytes(bytes(100))
    assert run(bundle, "in") == 2
    assert "in/phone.heic: pictures of the kind .heic are not read" in capsys.readouterr().out


def test_a_single_bad_image_is_one_line(bundle, capsys):
    half(write("a.jpg"))
    assert run(bundle, "a.jpg") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_equal_names_in_two_folders_give_a_file_each(bundle):
    write("cases/p1/frame.jpg", 0)
    write("cases/p2/frame.jpg", 5)
    assert run(bundle, "cases/*/*.jpg", "--masks", "masks", "--json", "out.jsonl") == 0
    assert names_in("cases.polyps") == names_in("masks") == ["p1/frame.png", "p2/frame.png"]
    assert frames_of("out.jsonl") == ["p1/frame", "p2/frame"]
    first, second = (cv2.imread(f"masks/p{n}/frame.png", 0) for n in (1, 2))
    assert (first != second).any()


def test_every_page_of_a_tiff_has_its_picture_and_mask(bundle):
    pages = [Image.fromarray(disc(index, SIZE)[:, :, ::-1].copy()) for index in (0, 5, 10)]
    pages[0].save("a.tif", save_all=True, append_images=pages[1:])
    assert run(bundle, "a.tif", "--masks", "masks") == 0
    assert names_in("a.polyps") == names_in("masks") == ["a-1.png", "a-2.png", "a-3.png"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_one_image_becomes_one_file(bundle, suffix):
    write("a.jpg")
    assert run(bundle, "a.jpg", "-o", f"o.{suffix}", "--masks", "mask.png") == 0
    assert cv2.imread(f"o.{suffix}").shape == (SIZE[1], SIZE[0], 3)
    assert set(np.unique(cv2.imread("mask.png", 0))) == {0, 255}


def test_several_images_do_not_go_into_one_file(bundle, capsys):
    write("in/a.jpg")
    write("in/b.jpg")
    assert run(bundle, "in", "-o", "o.png") == 2
    assert "o.png: is a file, and there are several pictures; give a folder" in capsys.readouterr().err
    assert not Path("o.png").exists()


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        (("-o", "same", "--masks", "same"), "the same place"),
        (("-o", "same", "--masks", "sub/../same"), "the same place"),
        (("-o", "in"), "output and input are the same folder"),
        (("--masks", "in"), "output and input are the same folder"),
        (("-o", "linked"), "output and input are the same folder"),
        (("-o", "out.mp4"), "images make no video"),
        (("--masks", "mask.jpg"), "several pictures|blur a mask"),
    ],
)
def test_outputs_overwrite_neither_each_other_nor_an_input(bundle, capsys, outputs, reason):
    write("in/a.png")
    write("in/b.png")
    Path("sub").mkdir()
    os.symlink("in", "linked")
    before = {name: Path("in", name).read_bytes() for name in names_in("in")}
    assert run(bundle, "in", *outputs) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert any(part in error for part in reason.split("|"))
    assert {name: Path("in", name).read_bytes() for name in names_in("in")} == before


def test_an_image_is_not_written_over_itself(bundle):
    before = write("a.png").read_bytes()
    assert run(bundle, "a.png", "-o", "a.png") == 2
    assert Path("a.png").read_bytes() == before


def test_resume_goes_on_with_what_is_missing(bundle, capsys):
    for index, name in enumerate("abcd"):
        write(f"in/{name}.jpg", index)
    outputs = ("-o", "out", "--masks", "masks", "--json", "out.jsonl")
    assert run(bundle, "in", *outputs) == 0
    whole = {name: Path("out", name).read_bytes() for name in names_in("out")}
    lines = Path("out.jsonl").read_bytes().splitlines(keepends=True)
    Path("out/a.png").unlink()  # whose line is there
    Path("masks/d.png").unlink()
    Path("out.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:20])  # killed within b's line
    capsys.readouterr()
    assert run(bundle, "in", *outputs, "--resume") == 0
    assert "4 frames" in capsys.readouterr().out
    assert {name: Path("out", name).read_bytes() for name in names_in("out")} == whole
    again = Path("out.jsonl").read_bytes().splitlines(keepends=True)
    assert again[:-1] == lines[:-1]
    summaries = [json.loads(last[-1])["summary"] for last in (again, lines)]
    for summary in summaries:
        assert summary.pop("times_ms")  # each run's own
    assert summaries[0] == summaries[1]


def test_resume_leaves_alone_what_every_output_has(bundle, capsys):
    for name in "ab":
        write(f"in/{name}.jpg")
    assert run(bundle, "in", "-o", "out") == 0
    kept = Path("out/a.png").stat().st_mtime_ns
    Path("out/b.png").unlink()
    capsys.readouterr()
    assert run(bundle, "in", "-o", "out", "--resume") == 0
    assert "1 frames" in capsys.readouterr().out
    assert Path("out/a.png").stat().st_mtime_ns == kept


def test_resume_does_not_mix_settings_in_one_file(bundle, capsys):
    write("in/a.jpg")
    assert run(bundle, "in", "--json", "out.jsonl") == 0
    assert run(bundle, "in", "--json", "out.jsonl", "--resume", "--threshold", "0.7") == 2
    assert "out.jsonl: an earlier run had another settings; leave --resume out" in capsys.readouterr().err


def test_resume_of_what_is_whole_does_nothing_and_succeeds(bundle):
    write("in/a.jpg")
    assert run(bundle, "in", "-o", "out") == 0
    assert run(bundle, "in", "-o", "out", "--resume") == 0
