"""What the attacks of this folder share: a good clip, canaries, and the folder where an attack lies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.clips import Clip, make_clip
from tests.runtime.video.access.canaries import Canaries, canaries


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"preset": "ultrafast", "g": "5"}
    return make_clip(tmp_path_factory.mktemp("clip") / "good.ts", Clip(frames=10, options=options))


@pytest.fixture
def canary(good: Path, tmp_path: Path) -> Iterator[Canaries]:
    with canaries(good, tmp_path / "outside") as alive:
        yield alive


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """Where a playlist lies, with a good part and a link out of it."""
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "good.ts").write_bytes(good.read_bytes())
    (folder / "good.m3u8").write_text("#EXTM3U\n#EXTINF:1,\ngood.ts\n#EXT-X-ENDLIST\n")
    (folder / "link.ts").symlink_to(tmp_path / "outside" / "canary.ts")
    return folder
