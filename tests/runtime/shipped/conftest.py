from pathlib import Path

import pytest

from scripts.shipped import parts
from scripts.shipped.parts import Part
from tests.runtime.discs import write_frame
from tests.runtime.tiny_bundle import write_tiny_bundle

FRAMES = 9  # one more than an interval needs


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two test parts on disk: red discs that are polyps, and frames without a polyp, one of them outlined."""
    for number in range(FRAMES):
        disc = (60 + 15 * number, 90, 24)
        write_frame(tmp_path / "data" / "discs", f"{number}", [disc], [disc])
    write_frame(tmp_path / "data" / "empty", "clean", [], [])
    write_frame(tmp_path / "data" / "empty", "outlined", [], [(128, 96, 40)])
    for folder in ("discs", "empty"):
        names = "\n".join(path.stem for path in (tmp_path / "data" / folder / "images").iterdir())
        (tmp_path / "data" / folder / "splits").mkdir()
        (tmp_path / "data" / folder / "splits" / "test.txt").write_text(names)
    tests = {"kvasir-test": Part("discs", "test", 12), "negatives-test": Part("empty", "test", 0)}
    monkeypatch.setattr(parts, "TEST_PARTS", tests)
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A bundle that outlines what is red, in FP32 and INT8."""
    return write_tiny_bundle(tmp_path / "tiny", (128, 96))
