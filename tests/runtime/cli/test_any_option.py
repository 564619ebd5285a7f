"""Whatever `rtpolyp run` is asked for: no traceback, and no exit code 0 beside a wrong count."""

import contextlib
import json
import shutil
import tempfile
import time
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from rtpolyp.cli import run_command_line
from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded
from tests.runtime.red_disc import disc, disc_clip
from tests.runtime.test_any_folder import AtOnce

SIZE = (64, 48)
FRAMES = 4
# input → its frames; None where nothing can be read
INPUTS = {
    "clip.mp4": FRAMES,
    "clip.ts": FRAMES,
    "one.jpg": 1,
    "pages.tif": 3,
    "folder": 3,
    "folder/*.png": 2,
    "with a bad one": 2,
    "text.mp4": None,
    "nothing.mp4": None,
    "": None,
    ".": 4,  # one.jpg and the pages
}
PLACES = ("", ".", "nowhere/out", "clip.mp4", "folder", "é" * 300, "a\x00b", "/proc/none/out")
VIDEOS, FOLDERS, LINES = ("out.mp4", "out.mkv", *PLACES), ("out", "out/sub", "one.png", *PLACES), "out.jsonl"
WANTED = {
    "-o": (*VIDEOS, *FOLDERS),
    "--json": (LINES, "out", *PLACES),
    "--masks": ("masks", "out", "mask.png", *PLACES),
    "--dicom-seg": ("seg.dcm",),
    "--dicom-video": ("video.dcm",),
    "--threshold": ("0", "0.5", "1", "1.5", "nan", "x"),
    "--style": ("fill", "box", "boks"),
    "--crop": ("off", "0,0,64,48", "8,8,32,32", "0,0,0,0", "-1,0,9,9", "60,40,64,48", "1,2,3", "here"),
    "--stream": ("0", "1", "-1", "x"),
    "--deinterlace": ("on", "off", "maybe"),
    "--max-pixels": ("3072", "3071", "0", "-1", "x"),
    "--precision": ("fp99",),
    "--backend": ("abacus",),
    "--threads": ("0", "-1"),
    "--input-format": ("mjpeg",),
    "--framerate": ("25",),
    "--max-age": ("10",),
    "--record-raw": ("raw.mp4",),
    "--log": ("log.jsonl",),
}
SWITCHES = (
    "--audio",
    "--no-audio",
    "--deidentify",
    "--resume",
    "--keep-going",
    "--every-frame",
    "--tone",
    "x",
)
OPTION = st.one_of(
    st.sampled_from(sorted(WANTED)).flatmap(
        lambda name: st.sampled_from(WANTED[name]).map(lambda v: (name, v))
    ),
    st.sampled_from(SWITCHES).map(lambda name: (name,)),
)
# what is likely to work, so that counts are compared often enough
LIKELY = st.sampled_from(
    [
        ("--json", LINES),
        ("--masks", "masks"),
        ("--no-audio",),
        ("--keep-going",),
        ("--resume",),
        ("--style", "box"),
        ("--crop", "off"),
        ("--deinterlace", "on"),
        ("--crop", "8,8,32,32"),
    ]
)


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """What INPUTS names."""
    folder = tmp_path_factory.mktemp("media")
    disc_clip(folder / "clip.mp4", size=SIZE, frames=FRAMES, audio="aac")
    disc_clip(folder / "clip.ts", size=SIZE, frames=FRAMES, options={"bf": "2"})
    pictures = [Image.fromarray(disc(index, SIZE)[:, :, ::-1].copy()) for index in range(3)]
    pictures[0].save(folder / "one.jpg")
    pictures[0].save(folder / "pages.tif", save_all=True, append_images=pictures[1:])
    for name, suffixes in (("folder", ("png", "png", "jpg")), ("with a bad one", ("png", "jpg", "png"))):
        (folder / name).mkdir()
        for index, suffix in enumerate(suffixes):
            pictures[index].save(folder / name / f"{index}.{suffix}")
    bad = folder / "with a bad one" / "1.jpg"
    bad.write_bytes(bad.read_bytes()[:-300])
    (folder / "text.mp4").write_text("no video")
    return folder


def open_quickly(recipe: EngineRecipe):
    """The engine of these tests, unless a recipe is to be refused."""
    if (recipe.backend, recipe.precision, recipe.threads) == ("auto", "auto", None):
        return AtOnce()
    return open_guarded(recipe)


def run_in_a_copy(
    media: Path, source: str, options: dict[str, tuple[str, ...]]
) -> tuple[int, dict[str, int]]:
    """The exit code, and the frames in each output that was asked for."""
    with tempfile.TemporaryDirectory() as work, pytest.MonkeyPatch.context() as patch:
        folder = Path(shutil.copytree(media, Path(work) / "here"))
        patch.chdir(folder)
        patch.setattr("rtpolyp.cli.run.open_guarded", open_quickly)
        begun = time.time()
        code = run_command_line(["run", source, *(word for option in options.values() for word in option)])
        return code, dict(counted(folder, {name: option[-1] for name, option in options.items()}, begun))


def counted(folder: Path, options: dict[str, str], begun: float):
    """Name and number of frames of the outputs, as far as they were written since."""
    if "--json" in options:
        with contextlib.suppress(OSError, ValueError):
            lines = [json.loads(line) for line in (folder / options["--json"]).read_text().splitlines()]
            yield "--json", len([line for line in lines if "polyps" in line])
            yield "summary", lines[-1]["summary"]["frames"]
    for name in ("--masks", "-o"):
        with contextlib.suppress(OSError, ValueError):
            if name in options:
                yield name, frames_in(folder / options[name], begun)


def frames_in(path: Path, begun: float) -> int:
    if path.is_dir():
        return sum(file.stat().st_mtime > begun for file in path.glob("*.png"))
    if path.suffix == ".png":
        return int(path.exists())
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(INPUTS)), st.lists(LIKELY, max_size=3), st.lists(OPTION, max_size=2))
def test_a_run_ends_in_one_line_or_with_the_true_count(media, source, likely, others):
    options = {option[0]: option for option in (*likely, *others)}
    code, counts = run_in_a_copy(media, source, options)
    assert code in (0, 2)
    if code == 0:
        assert INPUTS[source] is not None
        assert set(counts.values()) <= {INPUTS[source]}
        assert set(counts) >= {name for name in ("--json", "--masks", "-o") if name in options}
        assert source != "with a bad one" or "--keep-going" in options
