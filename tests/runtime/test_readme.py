"""What the README shows has to run as it stands there."""

import re
from pathlib import Path

import pytest

from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, make_clip

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_python_example_outlines_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    make_clip(tmp_path / "video.mp4", Clip(size=(320, 256), frames=5))
    exec(compile(example, str(README), "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 5
    with open_source(tmp_path / "last.png") as source:
        (last,) = source
    assert last.size == (320, 256)
