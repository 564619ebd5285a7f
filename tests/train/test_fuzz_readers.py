"""scripts/fuzz_readers.py: what it damages is whole before, and what it finds is told."""

import random
import shutil

import pytest

pytest.importorskip("pydicom")
if shutil.which("ffmpeg") is None:
    pytest.skip("ffmpeg's programs are not installed", allow_module_level=True)

from scripts.fuzz.damage import damaged, mutated
from scripts.fuzz.readers import CASES
from scripts.fuzz.whole_files import clip, picture
from scripts.fuzz_readers import attempt


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """The files that others name."""
    folder = tmp_path_factory.mktemp("fuzz")
    for part in ("images", "masks"):
        (folder / "set" / part).mkdir(parents=True)
        (folder / "set" / part / "a.png").write_bytes(picture("PNG", "RGB" if part == "images" else "L"))
    (folder / "part.ts").write_bytes(clip(".ts"))
    return folder


@pytest.mark.parametrize("name", CASES)
def test_whole_files_are_read(beside, name):
    file, reader, contents = CASES[name]
    for content in contents:
        (beside / file).write_bytes(content)
        assert attempt(reader, beside / file) == "read"


def test_what_is_no_one_line_error_is_told(tmp_path):
    def reader(path):
        raise KeyError(path.name)

    assert attempt(reader, tmp_path / "x") == "KeyError: 'x'"


def test_damage_follows_the_seed():
    pair = [damaged(bytes(200), random.Random(5)) for _ in range(2)]
    assert pair[0] == pair[1] != bytes(200)
    assert mutated({"a": [1, 2]}, random.Random(1)) != {"a": [1, 2]}
