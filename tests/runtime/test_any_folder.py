"""Whatever folder of images or masks is given: no traceback, and no exit code 0 beside a wrong count."""

import json
import tempfile
from concurrent.futures import Future
from pathlib import Path

import cv2
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from rtpolyp.cli import run_command_line
from rtpolyp.errors import InputError
from rtpolyp.inference.engine import Prediction
from rtpolyp.run import run_file
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from tests.runtime.discs import MUCOSA, RedEngine

SIZE = (64, 48)
EXAMPLES = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


class AtOnce(RedEngine):
    """Answers before `submit` returns, so a slot is free again as soon as the pipeline may ask for one."""

    def submit(self, frames: np.ndarray) -> "Future[Prediction]":
        answer: Future[Prediction] = Future()
        answer.set_result(self.infer(frames))
        return answer


def disc(radius: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], np.uint8)
    if radius:
        cv2.circle(mask, (32, 24), radius, 1, -1)
    return mask


def palette(mask: np.ndarray) -> Image.Image:
    image = Image.fromarray(mask, "L").convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
    return image


# kind of mask → the file of a (H, W) uint8 of 0 and 1; all say the same
KINDS = {
    "0 and 1": lambda mask: Image.fromarray(mask),
    "0 and 255": lambda mask: Image.fromarray(mask * 255),
    "16 bits": lambda mask: Image.fromarray(mask.astype(np.uint16) * 65535),
    "red": lambda mask: Image.fromarray(mask[:, :, None] * np.array([255, 0, 0], np.uint8)),
    "green": lambda mask: Image.fromarray(mask[:, :, None] * np.array([0, 200, 0], np.uint8)),
    "palette": palette,
    "alpha": lambda mask: Image.fromarray(np.dstack([*[mask * 255] * 3, mask * 255])),
    "one bit": lambda mask: Image.fromarray(mask * 255).convert("1"),
}
RAMP = np.linspace(0, 255, SIZE[0] * SIZE[1]).reshape(SIZE[::-1]).astype(np.uint8)
AMBIGUOUS = {
    "labels": lambda mask: Image.fromarray(np.where(np.arange(SIZE[0]) < 20, 2, mask).astype(np.uint8)),
    "three greys": lambda mask: Image.fromarray(
        np.where(np.arange(SIZE[0]) < 20, 120, 255 * mask).astype("u1")
    ),
    "picture": lambda mask: Image.fromarray(RAMP),
    "cut": lambda mask: None,
}
FRAME = st.tuples(
    st.integers(0, 12).map(lambda radius: radius if radius > 2 else 0),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([".png", ".tif"]),
)


def write_set(folder: Path, frames: list[tuple[int, str, str]]) -> None:
    for part in ("images", "masks", "ours"):
        (folder / part).mkdir(parents=True)
    for index, (radius, kind, suffix) in enumerate(frames):
        mask = disc(radius)
        image = np.broadcast_to(np.array(MUCOSA[::-1], np.uint8), (*mask.shape, 3))
        Image.fromarray(np.ascontiguousarray(image)).save(folder / f"images/f{index}.jpg")
        Image.fromarray(mask * 255).save(folder / f"ours/f{index}.png")
        KINDS[kind](mask).save(folder / f"masks/f{index}{suffix}")


def evaluate(folder: Path) -> int:
    arguments = ["--predictions", str(folder / "ours"), "--json", str(folder / "out.json")]
    return run_command_line(["eval", str(folder), *arguments])


@EXAMPLES
@given(st.lists(FRAME, min_size=1, max_size=5))
def test_masks_of_every_kind_give_the_true_count_and_dice(frames):
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "set"
        write_set(folder, frames)
        assert evaluate(folder) == 0
        report = json.loads((folder / "out.json").read_text())
        assert report["frames"] == len(frames)
        assert report["frames_with_polyp"] == sum(radius > 0 for radius, *_ in frames)
        if any(radius for radius, *_ in frames):
            assert report["figures"]["at_half"]["dice"] > 0.999


@EXAMPLES
@given(st.lists(FRAME, min_size=1, max_size=3), st.sampled_from(sorted(AMBIGUOUS)), st.integers(0, 2))
def test_one_mask_that_could_mean_two_things_is_one_line(frames, kind, at):
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "set"
        write_set(folder, [(radius, kind_of, ".png") for radius, kind_of, _ in frames])
        file = folder / f"masks/f{at % len(frames)}.png"
        image = AMBIGUOUS[kind](disc(9))
        if image is None:
            file.write_bytes(file.read_bytes()[:-20])
        else:
            image.save(file)
        assert evaluate(folder) == 2
        assert not (folder / "out.json").exists()


GOOD = st.tuples(st.sampled_from([".jpg", ".png", ".tif", ".webp", ".bmp"]), st.integers(1, 3))
BAD = st.sampled_from(["cut.jpg", "cut.png", "cut.tif", "empty.png", "text.jpg", "grey.png", "phone.heic"])
HIDDEN = st.sampled_from(["._a.jpg", ".DS_Store", "Thumbs.db", "notes.txt"])


def write_good(folder: Path, index: int, suffix: str, pages: int) -> int:
    """A file of one picture, or of several where the container has pages; how many."""
    image = Image.new("RGB", SIZE, (140 + index, 100, 90))
    pages = pages if suffix == ".tif" else 1
    others = [Image.new("RGB", SIZE, (150 + page, 100, 90)) for page in range(pages - 1)]
    image.save(
        folder / f"good{index}{suffix}", **({"save_all": True, "append_images": others} if others else {})
    )
    return pages


def write_bad(folder: Path, name: str) -> None:
    kind, _, suffix = name.partition(".")
    if kind == "cut":
        Image.effect_noise(SIZE, 50).convert("RGB").save(folder / name)
        (folder / name).write_bytes((folder / name).read_bytes()[:-200])
    elif kind == "grey":
        Image.new("L", SIZE, 90).save(folder / name)
    else:
        (folder / name).write_bytes(b"" if kind == "empty" else f"no picture {suffix}".encode())


@EXAMPLES
@given(st.lists(GOOD, min_size=1, max_size=4), st.sets(BAD, max_size=3), st.sets(HIDDEN, max_size=2))
def test_every_good_picture_is_processed_and_every_bad_one_named(good, bad, hidden):
    with tempfile.TemporaryDirectory() as work:
        folder, out = Path(work) / "in", Path(work) / "out"
        folder.mkdir()
        frames = sum(write_good(folder, index, *one) for index, one in enumerate(good))
        for name in bad:
            write_bad(folder, name)
        for name in hidden:
            (folder / name).write_bytes(bytes(100))
        files = len([path for path in folder.iterdir() if path.name not in hidden])
        try:
            with open_source(folder) as source:
                summary = run_file(source, Outputs(video=out, masks=out / "masks"), model=AtOnce())
        except InputError:
            assert files == 1  # a single file that is bad ends the run
            assert bad
            return
        assert summary.frames == frames
        assert len(summary.skipped) == len(bad)
        for name in bad:
            assert sum(name in line for line in summary.skipped) == 1
        assert len(list(out.glob("*.png"))) == len(list((out / "masks").glob("*.png"))) == frames


OPTION = st.sampled_from(
    [
        *(["--threshold", value] for value in ("0", "0.5", "1", "1.5", "-1", "nan", "inf", "x", "")),
        *(["--worst", value] for value in ("0", "-3", "1e9")),  # others would write a sheet here
        *(["--split", value] for value in ("few", "fwe", "", ".", "/", "a\x00b", "é" * 300)),
        *(["--csv", value] for value in ("", ".", "/nowhere/out.csv", "a\x00b")),
        *(["--precision", "fp99"], ["--backend", "abacus"], ["--polyp-free-crops", "-1"], ["--threads", "0"]),
        *(["--include-seen"], ["--no-such-option"], ["stray"], ["--json"]),
    ]
)


@settings(EXAMPLES, max_examples=40)
@given(st.lists(OPTION, min_size=1, max_size=3))
def test_whatever_is_asked_for_ends_in_one_line_or_in_the_true_count(options):
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "set"
        write_set(folder, [(8, "0 and 255", ".png"), (0, "red", ".png"), (5, "palette", ".png")])
        (folder / "splits").mkdir()
        (folder / "splits" / "few.txt").write_text("f0\nf1\n")
        arguments = ["--predictions", str(folder / "ours"), "--json", str(folder / "out.json")]
        given_options = [word for option in options for word in option]
        code = run_command_line(["eval", str(folder), *arguments, *given_options])
        assert code in (0, 2)
        if code == 0:
            report = json.loads((folder / "out.json").read_text())
            assert report["frames"] == (2 if "few" in given_options else 3)
            assert report["frames_with_polyp"] == (1 if "few" in given_options else 2)
        else:
            assert not (folder / "out.json").exists()
