"""check_charts: colour charts in every matrix and range, through the whole path of a file."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtpolyp.inference.engine import Engine
from rtpolyp.run import run_file
from rtpolyp.settings import Settings
from rtpolyp.verify.figure import Figure, figure
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.bgr_converter import native_of_bgr
from rtpolyp.video.colour import BT601, BT709, FULL, LIMITED, Colour
from rtpolyp.video.frame import Frame
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import EncoderSettings, VideoSink

__all__ = ["CHARTS", "check_charts"]

BT2020 = 9
CHARTS = {
    f"{name}, {extent}": Colour(matrix, range_, primaries=matrix, transfer=BT709)
    for (name, matrix), (extent, range_) in itertools.product(
        (("BT.601", BT601), ("BT.709", BT709), ("BT.2020", BT2020)), (("limited", LIMITED), ("full", FULL))
    )
}
LEVELS = 40, 120, 200  # of each channel: 27 patches, none near a limit of a range
PATCH = 32  # pixels a side
COLUMNS = 9
FRAMES = 3
FINE = EncoderSettings(crf=1)  # of the chart itself, so that what is found is the run's


def check_charts(folder: Path, engine: Engine, settings: Settings) -> list[Figure]:
    """Write each chart as a clip in `folder`, run over it as over any file, and compare what is shown."""
    settings = replace(settings, overlay=False)  # whatever a network sees in a chart
    figures = []
    for name, colour in CHARTS.items():
        stem = "chart-" + "".join(letter for letter in name.lower() if letter.isalnum())
        clip, recording = folder / f"{stem}.mp4", folder / f"{stem}.polyps.mp4"
        _write(clip, colour)
        run_file(clip, Outputs(video=recording), model=engine, settings=settings, crop="off")
        error = chart_error(recording)
        figures.append(figure(f"chart_error:{name}", error, f"{len(LEVELS) ** 3} patches, {FRAMES} frames"))
    return figures


def chart_error(recording: Path) -> float:
    """The largest error of a patch's channel, in levels of 255, over all frames."""
    truth = chart().astype(np.float64)
    errors = []
    with open_source(recording) as source:
        for frame in source:
            shown = frame.to_bgr().astype(np.float64)
            patches = _patches(shown - truth)
            errors.append(np.abs(patches).max())
    return float(max(errors))


def chart() -> NDArray[np.uint8]:
    """The picture `(H, W, 3) uint8 BGR`."""
    colours = np.array(list(itertools.product(LEVELS, repeat=3)), np.uint8).reshape(-1, COLUMNS, 3)
    return colours.repeat(PATCH, axis=0).repeat(PATCH, axis=1)


def _patches(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each patch's inner half, `(rows, COLUMNS, 3)`: its edge has half-resolution chroma."""
    rows = picture.shape[0] // PATCH
    cells = picture.reshape(rows, PATCH, COLUMNS, PATCH, 3)
    inner = slice(PATCH // 4, -PATCH // 4)
    return np.asarray(cells[:, inner, :, inner].mean(axis=(1, 3)))


def _write(path: Path, colour: Colour) -> None:
    picture = chart()
    size, rate = (picture.shape[1], picture.shape[0]), Fraction(25)
    source = ArraySource([], size, rate, path.name)
    source.format = replace(source.format, colour=colour)

    def frames() -> Iterator[Frame]:
        for index in range(FRAMES):
            native = native_of_bgr(picture, "yuv420p", colour)
            native.pts, native.time_base, native.duration = index, 1 / rate, 1
            yield Frame(native, index, index, 1 / rate, time.monotonic(), f"{index:06d}")

    with VideoSink(path, source, settings=FINE) as sink:
        for frame in frames():
            sink.write(frame)
