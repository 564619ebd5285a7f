"""Runs where things are missing, full, broken or few: each works, or ends in one line."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.clips import Clip, make_clip
from tests.runtime.tiny_bundle import write_tiny_bundle

OPENCV = "[ERROR:"  # it cannot start a thread: then it goes on with fewer
LIMIT_SECONDS = 240.0  # for what takes four seconds on a quiet machine


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", Clip(frames=5))


def start(folder: Path, bundle: Path, clip: Path, shell: str, **environment: str | None) -> subprocess.Popen:
    """`shell` with a run in place of its RUN, and the environment changed; None takes a variable out."""
    run = [sys.executable, "-m", "rtpolyp", "run", clip, "--engine", bundle, "--backend", "openvino"]
    changed = {**os.environ, "RTPOLYP_CACHE": str(folder / "cache"), **environment}
    return subprocess.Popen(
        ["bash", "-c", shell.replace("RUN", shlex.join(map(str, run)))],
        cwd=folder,
        env={name: value for name, value in changed.items() if value is not None},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def works(process: subprocess.Popen) -> bool:
    """Whether it worked; if not, it has said why in one line, beside what OpenCV writes by itself."""
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    lines = [line for line in errors.splitlines() if not line.startswith(OPENCV)]
    assert all(line.startswith("rtpolyp: ") for line in lines), errors
    if process.returncode == 0:
        return True
    assert (process.returncode, len(lines)) == (2, 1), errors
    return False


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/proc/none", "RTPOLYP_CACHE": None, "XDG_CACHE_HOME": None},
        {"HOME": None, "RTPOLYP_CACHE": None, "XDG_CACHE_HOME": None},
        {"RTPOLYP_CACHE": "/proc/none"},
        {"RTPOLYP_CACHE": "/dev/null/none"},
        {"TERM": None},
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=["read-only home", "no home", "read-only cache", "impossible cache", "no TERM", "C locale", "ASCII"],
)
def test_it_works_without(bundle: Path, clip: Path, tmp_path: Path, environment: dict[str, str | None]):
    assert works(start(tmp_path, bundle, clip, "RUN -o out.mp4", **environment))
    assert (tmp_path / "out.mp4").stat().st_size > 0


@pytest.mark.parametrize(
    "shell",
    [
        "exec RUN -o out.mp4 >&-",
        "exec RUN -o out.mp4 >&- 2>&-",
        "exec RUN -o out.mp4 <&- >&- 2>&-",
        "ulimit -n 64; exec RUN -o out.mp4",
    ],
    ids=["closed stdout", "closed stdout and stderr", "everything closed", "64 open files"],
)
def test_it_works_with(bundle: Path, clip: Path, tmp_path: Path, shell: str):
    assert works(start(tmp_path, bundle, clip, shell))
    assert (tmp_path / "out.mp4").stat().st_size > 0


def test_two_gigabytes_of_address_space_suffice_or_are_named(bundle: Path, clip: Path, tmp_path: Path):
    works(start(tmp_path, bundle, clip, "ulimit -v 2097152; exec RUN -o out.mp4"))


def test_a_full_disk_is_named(bundle: Path, clip: Path, tmp_path: Path):
    """A file system of 64 kB; skips where none may be mounted."""
    mount = "mkdir full && mount -t tmpfs -o size=64k none full && head -c 70000 /dev/zero > full/a; "
    tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    if tried.returncode:
        pytest.skip("no mount namespaces here")
    inner = f"{mount} exec RUN -o full/out.mp4 --json full/out.jsonl"
    process = start(tmp_path, bundle, clip, f"exec unshare -rm bash -c {shlex.quote(inner)}")
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 2
    assert "Traceback" not in errors
    assert "No space left" in errors


def test_a_broken_cache_is_written_anew(bundle: Path, clip: Path, tmp_path: Path):
    assert works(start(tmp_path, bundle, clip, "RUN -o out.mp4"))
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    for file in files:
        file.write_bytes(b"\x00garbage" * 100)
    assert works(start(tmp_path, bundle, clip, "RUN -o out.mp4"))


def test_two_first_starts_at_once(bundle: Path, clip: Path, tmp_path: Path):
    both = [start(tmp_path, bundle, clip, f"RUN -o {name}.mp4") for name in ("a", "b")]
    assert [works(process) for process in both] == [True, True]
