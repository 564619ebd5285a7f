"""Where videos are found, and what is told where they are not, or nothing can be written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtpolyp.batch.job import Job, Video, recipe_like
from rtpolyp.batch.manifest import agree_on_manifest
from rtpolyp.batch.storage import Storage, find_videos
from rtpolyp.batch.tables import FoundFrame, read_chunk, write_chunk
from rtpolyp.batch.worker import SCRATCH, new_scratch
from rtpolyp.errors import InputError, OutputError
from rtpolyp.inference.isolated.engine import EngineRecipe

ENGINE = {"rtpolyp": "0.1.0", "engine": "tiny", "threshold": "0.5"}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"video")


def test_videos_are_found_in_folders_globs_and_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    touch(tmp_path, "a/1.mp4", "a/b/2.MKV", "a/notes.txt", "a/list.m3u8", "c/3.avi")
    monkeypatch.chdir(tmp_path)

    def names(*sources: str) -> list[str]:
        return [video.name for video in find_videos(sources)]

    assert names(str(tmp_path / "a")) == ["1.mp4", "b/2.MKV"]
    assert names("a", "c/3.avi") == ["1.mp4", "3.avi", "b/2.MKV"]
    assert names("a/*.mp4", "a/*.mp4") == ["1.mp4"]
    assert names(str(tmp_path / "*" / "*.*")) == ["a/1.mp4", "c/3.avi"]
    assert names("**/*.MKV") == ["a/b/2.MKV"]
    assert all(Path(video.address).is_file() for video in find_videos(["a"]))


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["missing"], "missing: no such file or folder"),
        (["a/*.mov"], r"a/\*.mov: holds no video"),
        (["a", "c"], r"c/1.mp4: is called 1.mp4, as is .*a/1.mp4; give the folder that holds both"),
        (["gopher://host/x"], "gopher://host/x: no place that pyarrow opens"),
    ],
)
def test_sources_without_videos_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], message: str
):
    touch(tmp_path, "a/1.mp4", "c/1.mp4")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        find_videos(sources)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../1.mp4", "a/../../1.mp4", "a\\..\\1.mp4"])
def test_a_name_of_an_object_store_that_leads_out_is_refused(name: str):
    with pytest.raises(InputError, match=r"1\.mp4: a name that leads out of its folder"):
        Video(name, "s3://bucket/1.mp4", 1, "")


def test_files_appear_whole_and_nothing_stays_beside_them(tmp_path: Path):
    storage = Storage(str(tmp_path / "out"))
    storage.begin()
    touch(tmp_path, "out/overlays/a.mp4", "other/a.mp4")
    assert [storage.holds(video) for video in find_videos([str(tmp_path)])] == [False, True]
    (tmp_path / "out" / "overlays" / "a.mp4").unlink()
    storage.write("chunks/a b.mp4/1.parquet", b"1")
    storage.put(Path(__file__), "pages/x.html")
    assert storage.names("chunks/a b.mp4") == {"1.parquet"}
    assert storage.names("nowhere") == set()
    storage.remove("chunks/a b.mp4")
    storage.discard("pages/x.html")
    storage.discard("pages/x.html")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_place_without_the_right_to_write_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    places = [tmp_path / "file" / "out"]
    if os.geteuid() == 0:
        places.append(Path("/proc/rtpolyp"))  # nobody may
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        places.append(tmp_path / "locked" / "out")
    for place in places:
        with pytest.raises(OutputError, match=r"cannot be written.*where you may write") as caught:
            Storage(str(place)).begin()
        assert "\n" not in str(caught.value)


def test_tables_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch):
    frames = [FoundFrame(3, "clear", ({"track": 1},))]
    content = write_chunk(frames, {"problem": None})
    assert read_chunk(content, "x")[0] == frames
    monkeypatch.setattr("rtpolyp.batch.tables.TABLES_SCHEMA", 0)
    older = write_chunk(frames, {"problem": None})
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"x\.parquet: is of schema 0, and this version reads 1"):
        read_chunk(older, "x.parquet")
    with pytest.raises(InputError, match="no table of rtpolyp batch"):
        read_chunk(b"PAR1", "x.parquet")


def test_a_later_run_takes_the_arithmetic_of_the_first_unless_it_is_told_another():
    known = {"backend": "openvino", "precision": "bf16"}
    assert recipe_like(EngineRecipe(), known) == EngineRecipe(backend="openvino", precision="bf16")
    asked = EngineRecipe(backend="onnxruntime", precision="fp32")
    assert recipe_like(asked, known) == asked
    assert (
        recipe_like(EngineRecipe("grpc://x/y"), {"backend": "remote", "precision": "auto"}).backend == "auto"
    )


def test_a_folder_goes_on_with_what_it_was_begun_with(tmp_path: Path):
    storage, job = Storage(str(tmp_path)), Job(str(tmp_path))
    agree_on_manifest(storage, job, ENGINE)
    agree_on_manifest(storage, job, {**ENGINE, "rtpolyp": "0.2.0"})
    with pytest.raises(InputError, match=r"was begun with threshold 0\.5, and this run has 0\.6"):
        agree_on_manifest(storage, job, {**ENGINE, "threshold": "0.6"})
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": 0}))
    with pytest.raises(InputError, match=r"manifest\.json: is of schema 0, and this version writes 1"):
        agree_on_manifest(storage, job, ENGINE)
    manifest.write_text("[]")
    with pytest.raises(InputError, match="no manifest of rtpolyp batch"):
        agree_on_manifest(storage, job, ENGINE)


def test_what_a_killed_worker_copied_is_deleted_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    touch(tmp_path, f"{SCRATCH}{int(ended.stdout)}-a/video.mp4", f"{SCRATCH}{os.getpid()}-b/video.mp4")
    new = new_scratch()
    assert {path.name for path in tmp_path.iterdir()} == {f"{SCRATCH}{os.getpid()}-b", new.name}
