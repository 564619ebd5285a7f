"""How often a bundle calls a stream unlike its training sources: streams that are like them, and harmed ones.

python scripts/measure_drift.py [ENGINE] [--data ../shared/data] [--natural FOLDER]

Each group of frames that resemble each other becomes one stream, swaying by some pixels, blurred, noisy and
coarsely compressed as recordings are; the whole path of `rtpolyp run` sees it. The val parts are what false
alarms are counted on; neither statistics nor limit were made from them. Writes docs/results/drift.md.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated
from unittest import mock

import cv2
import numpy as np
from cyclopts import Parameter

from rtpolyp.imaging.appearance import measure_appearance
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.picture_names import is_image_name
from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.dataset import Pair, load_pairs
from rtpolyp.measure.figure_files import write_text
from rtpolyp.measure.statistics import clopper_pearson
from rtpolyp.phantom import render_phantom
from rtpolyp.pipeline import segment
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.terminal.console import make_console, say_written
from rtpolyp.video.array_source import ArraySource
from scripts.shipped.parts import NORMAL
from train.export.degrade import as_recorded

PARTS = {
    "kvasir-seg": ("kvasir-seg", "paper80-10-10"),
    "cvc-612": ("cvc-612", "sequence80-10-10"),
    "polypgen": ("extra/polypgen", "polypgen"),
    "polypgen, no polyp": ("extra/polypgen", "negatives"),
    "bkai-neopolyp": ("extra/bkai-neopolyp", "bkai-neopolyp"),
    "hyperkvasir, no polyp": (NORMAL, "hyperkvasir-negatives"),
}
RATE = Fraction(2)  # frames a second: every one of them is measured
FRAMES = 8  # of a stream, four seconds
LARGEST = 640  # pixels of the longer side
SWAY = 0.02  # of each side
EVERY = 8  # of the val streams, one that each harm is done to
PHANTOMS = 10
COST_FRAMES = 250
SIZE = (640, 512)  # of the phantom

Picture = np.ndarray  # (H, W, 3) uint8 BGR
Harm = Callable[[Picture], Picture]
app = make_app("python scripts/measure_drift.py", __doc__, help_format="plaintext")


def narrow_band(frame: Picture, share: float = 1.0) -> Picture:
    """What a narrow-band display shows: green light's picture as red, blue light's as green and as blue."""
    blue, green, _ = cv2.split(frame.astype(np.float32))
    narrow = cv2.merge([blue, blue, green])
    narrow *= frame.mean() / max(1.0, float(narrow.mean()))
    return np.clip(share * narrow + (1 - share) * frame, 0, 255).astype(np.uint8)


def panel(frame: Picture) -> Picture:
    """A bright panel of another system over the left third."""
    covered = frame.copy()
    covered[:, : frame.shape[1] // 3] = (190, 180, 170)
    return covered


def inset(frame: Picture) -> Picture:
    """The picture at half its size on grey, which no crop takes away."""
    height, width = frame.shape[:2]
    around = np.full_like(frame, 90)
    small = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    around[height // 4 :, width // 4 :][: height // 2, : width // 2] = small
    return around


def grey(frame: Picture) -> Picture:
    """The picture without colour."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR))


def blurred(frame: Picture) -> Picture:
    """Out of focus by a hundredth of the width."""
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), frame.shape[1] / 100))


HARMS: dict[str, Harm] = {
    "colours as of narrow-band light": narrow_band,
    "half narrow-band light, half white": lambda frame: narrow_band(frame, 0.5),
    "a bright panel over the left third": panel,
    "the picture at half its size on grey": inset,
    "red and blue exchanged": lambda frame: frame[..., ::-1],
    "without colour": grey,
    "40 % of the light": lambda frame: (frame * 0.4).astype(np.uint8),
    "out of focus": blurred,
}


@dataclass(frozen=True)
class Row:
    """Streams of one kind."""

    kind: str
    words: tuple[str, ...]  # of each stream what the run said; "" where nothing

    def cells(self) -> str:
        """A line of the table: streams, alarms, share with its interval, and what is said the most."""
        told = [one.rpartition(": ")[2] for one in self.words if one]
        low, high = (100 * bound for bound in clopper_pearson(len(told), len(self.words))[:2])
        often = max(set(told), key=told.count) if told else "–"
        share = f"{100 * len(told) / len(self.words):.1f} % [{low:.1f}, {high:.1f}]"
        return f"| {self.kind} | {len(self.words)} | {len(told)} | {share} | {often} |"


@app.default
def main(
    engine: str = DEFAULT_BUNDLE,
    /,
    *,
    data: Path = Path("../shared/data"),
    natural: Path | None = None,
    precision: str = "int8",
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/drift.md"),
) -> None:
    """Measure, print and write.

    Parameters
    ----------
    engine
        A bundle's name or folder.
    data
        The folder that holds kvasir-seg, cvc-612 and extra.
    natural
        A folder of pictures of anything but a colon, such as those in scikit-image's wheel.
    precision
        auto, fp32, bf16 or int8.
    output
        The page to write.
    """
    console = make_console()
    with open_engine(engine, precision=precision, optimise_for="throughput") as network:
        lines = [
            f"# Streams unlike the training sources: {network.spec.name} {network.spec.digest}",
            "",
            f"`{' '.join(['python scripts/measure_drift.py', *sys.argv[1:]])}`, {network.description}, "
            f"{this_machine().processor}. Streams of {FRAMES} frames, {float(FRAMES / RATE):g} s; "
            "shares with their 95 % intervals.",
        ]
        lines += ["", cost(network)]
        for title, rows in tables(network, data, natural):
            lines += ["", f"## {title}", "", "| streams | number | unlike | share | said the most |"]
            lines += ["|---|---|---|---|---|"]
            for row in rows:
                lines.append(row.cells())
                console.print(lines[-1], markup=False, highlight=False, soft_wrap=True)
    write_text("\n".join(lines) + "\n", output)
    say_written([output], console)


def cost(engine: Engine) -> str:
    """What the watch takes of a frame's time, in one sentence."""
    pictures = [frame.bgr for frame in render_phantom(COST_FRAMES / 25, SIZE, 25, 0)]
    source, seconds = ArraySource(pictures, SIZE, Fraction(25)), []

    def timed(*frame: np.ndarray) -> np.ndarray:
        begun = time.perf_counter()
        traits = measure_appearance(*frame)
        seconds.append(time.perf_counter() - begun)
        return traits

    with mock.patch("rtpolyp.tracking.drift.measure_appearance", timed):
        begun = time.perf_counter()
        for _ in segment(source, engine):
            pass
        total = time.perf_counter() - begun
    share = 100 * sum(seconds) / total
    return (
        f"Measuring a frame takes {1000 * np.median(seconds):.1f} ms (median). Of {COST_FRAMES} frames at 25 "
        f"frames/s {len(seconds)} were measured: {share:.2f} % of the {total:.1f} s that a run over them "
        "took."
    )


def tables(engine: Engine, data: Path, natural: Path | None) -> Iterator[tuple[str, Iterator[Row]]]:
    """The page's tables, each measured as its rows are asked for."""
    val = {name: groups(load_pairs(data / folder, f"{split}_val")) for name, (folder, split) in PARTS.items()}
    test = {
        name: groups(load_pairs(data / folder, f"{split}_test")) for name, (folder, split) in PARTS.items()
    }
    for title, parts in (("False alarms on validation frames", val), ("The same on test frames", test)):
        yield title, with_sum(row(engine, name, map(stills, streams)) for name, streams in parts.items())
    some = list(itertools.chain.from_iterable(val.values()))[::EVERY]
    yield (
        "Harms",
        itertools.chain(
            (row(engine, kind, (map(harm, stills(one)) for one in some)) for kind, harm in HARMS.items()),
            others(engine, natural),
        ),
    )


def others(engine: Engine, natural: Path | None) -> Iterator[Row]:
    """What is no colon."""
    seconds = float(FRAMES / RATE)
    phantoms = (render_phantom(seconds, SIZE, RATE, seed) for seed in range(PHANTOMS))
    yield row(engine, "the phantom", ((frame.bgr for frame in phantom) for phantom in phantoms))
    if natural is not None:
        files = sorted(path for path in natural.iterdir() if is_image_name(path))
        yield row(engine, "natural scenes", (itertools.repeat(read_image(file), FRAMES) for file in files))


def with_sum(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, then all of their streams together."""
    words: list[str] = []
    for one in rows:
        words += one.words
        yield one
    yield Row("all", tuple(words))


def groups(pairs: list[Pair]) -> list[list[Pair]]:
    """Frames that resemble each other, in the order of their first one."""
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.group, []).append(pair)
    return list(found.values())


def stills(pairs: list[Pair]) -> Iterator[Picture]:
    """FRAMES pictures, of each frame in turn, at the size of the first or LARGEST."""
    size = None
    for pair in itertools.islice(itertools.cycle(pairs), FRAMES):
        picture = read_image(pair.image)
        if size is None:
            height, width = picture.shape[:2]
            scale = min(1.0, LARGEST / max(height, width))
            size = 2 * round(scale * width / 2), 2 * round(scale * height / 2)
        yield np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def row(engine: Engine, kind: str, streams: Iterator[Iterator[Picture]]) -> Row:
    """Run each stream and keep what was said of it."""
    return Row(kind, tuple(said(engine, stream) for stream in streams))


def said(engine: Engine, pictures: Iterator[Picture]) -> str:
    """The remark that `rtpolyp run` makes on a stream of these pictures, recorded; "" without one."""
    rng = np.random.default_rng(0)
    first = next(pictures)
    size = first.shape[1], first.shape[0]

    def recorded() -> Iterator[Picture]:
        for index, picture in enumerate(itertools.chain([first], pictures)):
            phase = 2 * np.pi * index / FRAMES
            across, down = SWAY * size[0] * np.sin(phase), SWAY * size[1] * np.cos(phase)
            shift = np.array(((1, 0, across), (0, 1, down)))
            moved = cv2.warpAffine(picture, shift, size, borderMode=cv2.BORDER_REPLICATE)
            yield as_recorded(np.asarray(moved), rng)

    source = ArraySource(recorded(), size, RATE)
    for _ in segment(source, engine):
        pass
    return next(iter(source.remarks.lines), "")


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
