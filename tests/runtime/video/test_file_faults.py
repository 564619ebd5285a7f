"""Addresses and permissions: what is opened, and what is said of what cannot be."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError, OutputError
from rtpolyp.video.address import is_live, local_path
from rtpolyp.video.json_sink import JsonSink
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_live, open_source
from rtpolyp.video.video_sink import VideoSink
from tests.runtime.clips import Clip, make_clip

NOBODY = 65_534
TOO_LONG = "x" * 300


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "a b%20c.mp4", Clip(frames=3))


@pytest.fixture
def others() -> Iterator[Path]:
    """A folder that everybody may enter, and this process as an ordinary user."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        if os.geteuid() == NOBODY:
            os.seteuid(0)
        for path in folder.iterdir():
            path.chmod(0o700)
        shutil.rmtree(folder)


def become_ordinary() -> None:
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


@pytest.mark.parametrize("form", ["file://{}", "file:{}", "FILE://localhost{}"])
@pytest.mark.parametrize("opened", [open_source, open_live])
def test_the_url_of_a_local_file_is_opened(clip, form, opened):
    address = form.format(str(clip).replace("%", "%25").replace(" ", "%20"))
    assert not is_live(address)
    with opened(address) as source:
        assert source.path == clip
        assert len(list(source)) == 3


def test_a_tilde_is_the_users_own_folder_unless_there_is_such_a_file(clip, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with open_source("~/a b%20c.mp4") as source:
        assert source.path == clip
    assert Outputs(video="~/out.mp4").path("video") == tmp_path / "out.mp4"
    monkeypatch.chdir(tmp_path)
    Path("~").mkdir()
    clip.rename("~/a.mp4")
    assert local_path("~/a.mp4") == Path("~/a.mp4")


REFUSED = [
    ("", "'': an empty name; give a video"),
    ("file://elsewhere/a.mp4", "file://elsewhere/a.mp4: is on another computer; mount"),
    ("file:///none/a.mp4", "/none/a.mp4: no such file; give a video"),
    ("~nobody-of-that-name/a.mp4", "~nobody-of-that-name/a.mp4: no such file"),
    (f"{TOO_LONG}.mp4", "x.mp4: a name that is too long for this system; give a shorter one"),
    ("a\0b.mp4", "no file can have such a name"),
    (f"{__file__}/a.mp4", "a.mp4: no such file"),
]


@pytest.mark.parametrize(("address", "said"), REFUSED)
@pytest.mark.parametrize("opened", [open_source, open_live])
def test_what_cannot_be_opened_is_said_in_one_line(address, said, opened):
    with pytest.raises(InputError) as caught:
        opened(address)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_to_itself_fails(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"a\.mp4: a link that leads back to itself; give the file itself"):
        open_source(tmp_path / "a.mp4")


@pytest.mark.parametrize("locked", ["file", "folder", "folder of images"])
def test_what_may_not_be_read_is_said_to_be_so(others, clip, locked):
    inside = others / "inside"
    inside.mkdir()
    path = Path(shutil.copy(clip, inside / "a.mp4"))
    (path if locked == "file" else inside).chmod(0)
    become_ordinary()
    address = inside if locked == "folder of images" else path
    with pytest.raises(InputError, match="no permission to read it; ask for the right to read it"):
        open_source(address)


@pytest.mark.parametrize("kind", ["video", "json"])
def test_where_one_may_not_write_the_remedy_is_another_path(others, clip, kind):
    locked = others / "locked"
    locked.mkdir()
    with open_source(clip) as source:
        locked.chmod(0o555)
        become_ordinary()
        match = r"cannot be written \(Permission denied\); give a path where you may write"
        with pytest.raises(OutputError, match=match):
            _ = VideoSink(locked / "out.mp4", source) if kind == "video" else JsonSink(locked / "a.json", {})
        assert np.array_equal(next(iter(source)).index, 0)


@pytest.mark.parametrize("kind", ["video", "json"])
def test_a_name_that_is_too_long_is_not_written(tmp_path, clip, kind):
    match = r"File name too long\); give a shorter name"
    name = tmp_path / TOO_LONG
    with open_source(clip) as source, pytest.raises(OutputError, match=match):
        _ = VideoSink(f"{name}.mp4", source) if kind == "video" else JsonSink(f"{name}.json", {})
