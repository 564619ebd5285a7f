"""A stranger's bundle through the command line: one line, exit 2, nothing written, no code run, under 5 s."""

import re
import time
from pathlib import Path

import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.errors import EngineError
from rtpolyp.inference.isolated import process
from rtpolyp.inference.isolated.engine import EngineRecipe, IsolatedEngine, open_guarded
from tests.runtime.damaged_bundles import CANARY, FLIPPED, LARGE, LONG, REFUSED, UNSOUND, Damage
from tests.runtime.red_disc import disc_clip
from tests.runtime.tiny_bundle import write_tiny_bundle

MOST_SECONDS = 5.0
SOURCE_PLACE = re.compile(r"\.[ch]pp|src/|\.cc:")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_clip(tmp_path_factory.mktemp("clips") / "disc.mp4", frames=4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle beside an empty working folder."""
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return write_tiny_bundle(tmp_path / "tiny")


def run(clip: Path, folder: Path) -> int:
    arguments = ["run", str(clip), "-o", "out.mp4", "--json", "out.jsonl", "--engine", str(folder)]
    return run_command_line([*arguments, "--backend", "openvino", "--precision", "fp32"])


def assert_refused(code: int, told: str) -> None:
    assert code == 2
    assert told.startswith("rtpolyp: ")
    assert told.endswith("\n")
    assert told[:-1].isprintable(), told  # one line, and no escape sequence
    assert len(told) < 700
    assert "Traceback" not in told
    assert not SOURCE_PLACE.search(told)
    assert not list(Path.cwd().iterdir())  # nothing was written
    assert not list(Path.cwd().parent.rglob(CANARY))


def test_there_are_a_hundred_damages():
    assert len(REFUSED) + len(FLIPPED) + len(UNSOUND) >= 100


@pytest.mark.parametrize("damage", REFUSED.values(), ids=REFUSED)
def test_what_a_look_at_the_files_tells(clip: Path, folder: Path, capfd, damage: Damage):
    damage(folder)
    begun = time.monotonic()
    code = run(clip, folder)
    assert time.monotonic() - begun < MOST_SECONDS
    out, told = capfd.readouterr()
    assert out == ""
    assert_refused(code, told)


@pytest.mark.parametrize("damage", UNSOUND.values(), ids=UNSOUND)
def test_what_the_library_tells(clip: Path, folder: Path, capfd, damage: Damage):
    damage(folder)
    code = run(clip, folder)
    assert_refused(code, capfd.readouterr().err)


@pytest.mark.parametrize("damage", FLIPPED.values(), ids=FLIPPED)
def test_bits_that_are_flipped_under_a_mended_hash(clip: Path, folder: Path, capfd, damage: Damage):
    """Where they fell on weights or names it is a sound network still, only another one."""
    damage(folder)
    code = run(clip, folder)
    told = capfd.readouterr().err
    if code == 0:
        assert Path("out.mp4").stat().st_size
    else:
        assert_refused(code, told)


def test_a_graph_that_takes_for_ever_to_open(folder: Path):
    LONG(folder)
    with pytest.raises(EngineError, match="did not open in time"):
        IsolatedEngine(EngineRecipe(folder, "openvino", "fp32"), start_seconds=4.0)


def test_a_graph_that_takes_all_memory_to_open(folder: Path, monkeypatch):
    monkeypatch.setattr(process, "MAX_OPENING_BYTES", 700 << 20)
    LARGE(folder)
    with pytest.raises(EngineError, match=r"took \d\.\d GiB of memory to open"):
        open_guarded(EngineRecipe(folder, "openvino", "fp32"))
