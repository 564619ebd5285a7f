"""`rtpolyp batch` on Ray's two nodes on this machine: a node killed half-way, a resumed run, and throughput.

python scripts/measure_batch.py [--clips 20] [--seconds 6] [-o docs/results/batch.json]

The clips are phantoms, four of one seed: as it is, and mirrored. Four runs over them: one process (`run_file`
with all processors), Ray's two nodes with a processor each, one that is interrupted half-way and then goes
on, and one with a node killed half-way. The last two cut the clips into chunks of `--chunk` seconds. The
second does not, so that its rows are those of runs over whole files: the others' are compared with them, in
all columns. The rates of a batch count from its first finished chunk on, so that Ray's start is not in them;
`whole_seconds` has it. Exit code 1 where a row is lost, twice or another.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter

from rtpolyp.batch.extra import needed
from rtpolyp.batch.job import Job
from rtpolyp.batch.run import Workers, run_batch
from rtpolyp.batch.schedule import Progress
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_text
from rtpolyp.phantom import render_phantom
from rtpolyp.run import run_file
from rtpolyp.terminal.command_line import run_app
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.video_sink import VideoSink

ENGINE, PRECISION = "pranet-if-fast", "int8"
SIZE = (320, 256)
RATE = Fraction(25)
WHOLE = 1e6  # seconds of a chunk that is never cut

app = App(name="python scripts/measure_batch.py", help=__doc__, help_format="plaintext", version_flags=())


class Watch:
    """Times a batch, and calls `at_half` once half of the frames are done."""

    def __init__(self, frames: int, at_half: Callable[[], None] = lambda: None) -> None:
        self._half, self._at_half, self._called = frames / 2, at_half, False
        self._begun = time.perf_counter()
        self._first: tuple[float, int] | None = None
        self._last: tuple[float, int] = (0.0, 0)

    def __call__(self, progress: Progress) -> None:
        """Take in how far it is."""
        self._last = time.perf_counter(), progress.frames
        if progress.frames and self._first is None:
            self._first = self._last
        if progress.frames >= self._half and not self._called:
            self._called = True
            self._at_half()

    def figures(self) -> dict[str, float]:
        """Seconds, and frames a second once it ran."""
        assert self._first is not None
        seconds, frames = (last - first for last, first in zip(self._last, self._first, strict=True))
        whole = self._last[0] - self._begun
        return {"whole_seconds": round(whole, 1), "frames_per_second": round(frames / seconds, 1)}


def write_clips(folder: Path, count: int, seconds: float) -> None:
    """`count` videos; a phantom takes longer to render than to analyse, so each serves four times."""
    mirrors = (slice(None), slice(None, None, -1))
    for seed in range(-(-count // 4)):
        pictures = [frame.bgr for frame in render_phantom(seconds, SIZE, RATE, seed)]
        for number, (rows, columns) in enumerate(product(mirrors, mirrors), 4 * seed):
            if number < count:
                path = folder / f"{number:02d}.mp4"
                turned = (np.ascontiguousarray(picture[rows, columns]) for picture in pictures)
                source = ArraySource(turned, SIZE, RATE, path.name)
                with VideoSink(path, source) as sink:
                    for frame in source:
                        sink.write(frame)


def one_process(clips: Path, out: Path) -> dict[str, float]:
    """`run_file` over all clips, by one engine on all processors."""
    out.mkdir()
    recipe = EngineRecipe(ENGINE, "openvino", PRECISION, optimise_for="throughput")
    with recipe() as engine:
        begun, frames = time.perf_counter(), 0
        for clip in sorted(clips.iterdir()):
            frames += run_file(clip, Outputs(json=out / f"{clip.stem}.jsonl"), model=engine).frames
    seconds = time.perf_counter() - begun
    return {"whole_seconds": round(seconds, 1), "frames_per_second": round(frames / seconds, 1)}


def tables(out: Path) -> dict[str, Any]:
    """All rows of a batch, by file."""
    read = needed("pyarrow.parquet").read_table
    found = sorted(
        (out / kind / name.name, kind) for kind in ("frames", "detections") for name in (out / kind).iterdir()
    )
    return {f"{kind}/{path.name}": read(path).to_pylist() for path, kind in found}


def compare(expected: dict[str, Any], found: dict[str, Any]) -> dict[str, int]:
    """How many rows there are, are missing, are too many, and are another."""
    counts = {"rows": 0, "lost": 0, "twice": 0, "other": 0}
    for name, rows in expected.items():
        others = found.get(name, [])
        counts["rows"] += len(rows)
        counts["lost"] += max(0, len(rows) - len(others))
        counts["twice"] += max(0, len(others) - len(rows))
        counts["other"] += sum(one != other for one, other in zip(rows, others, strict=False))
    return counts


class Interrupted(Exception):
    """Raised by a run's own progress, in the place of Ctrl-C."""


def interrupt() -> None:
    """End a run half-way."""
    raise Interrupted


def measure(clips: Path, work: Path, frames: int, chunk: float) -> dict[str, Any]:
    """All four runs."""
    recipe = EngineRecipe(ENGINE, "openvino", PRECISION, 1, optimise_for="throughput")

    def batch(name: str, address: str, watch: Watch, seconds: float) -> dict[str, float]:
        job = Job(str(work / name), recipe, pages=False, chunk_seconds=seconds)
        run_batch([str(clips)], job, Workers(address), on_progress=watch)
        return watch.figures()

    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 – so that both sides have the processors alike
    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = needed("ray.cluster_utils").Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(num_cpus=1)
    try:
        address = cluster.address
        results: dict[str, Any] = {"one process": one_process(clips, work / "one")}
        results["two nodes"] = batch("nodes", address, Watch(frames), WHOLE)
        expected = tables(work / "nodes")
        try:
            batch("resumed", address, Watch(frames, interrupt), chunk)
        except Interrupted:
            waiting = len(list((work / "resumed").rglob("chunks/**/*.parquet")))
        batch("resumed", address, Watch(frames), chunk)
        results["interrupted and resumed"] = {
            "chunks kept": waiting,
            **compare(expected, tables(work / "resumed")),
        }
        watch = Watch(frames, lambda: cluster.remove_node(second, allow_graceful=False))
        killed = batch("killed", address, watch, chunk)
        results["one node killed half-way"] = {**killed, **compare(expected, tables(work / "killed"))}
        return results
    finally:
        cluster.shutdown()


@app.default
def main(
    *,
    clips: int = 20,
    seconds: float = 6.0,
    chunk: float = 2.0,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """Measure and report.

    Parameters
    ----------
    clips
        How many.
    seconds
        Of each.
    chunk
        Seconds of a chunk of the interrupted runs.
    output
        JSON to write.
    """
    machine = asdict(this_machine())
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder) / "videos"
        videos.mkdir()
        write_clips(videos, clips, seconds)
        frames = round(clips * seconds * 25)
        results = measure(videos, Path(folder), frames, chunk)
    ratio = results["two nodes"]["frames_per_second"] / results["one process"]["frames_per_second"]
    load = os.getloadavg()[0]
    report = {
        "machine": machine,
        "load": round(load, 1),
        "engine": f"{ENGINE} {PRECISION}",
        "clips": clips,
        "frames": frames,
        "size": SIZE,
        "chunk_seconds": chunk,
        "ratio": round(ratio, 2),
        **results,
    }
    text = json.dumps(report, indent=1)
    print(text)
    if output is not None:
        write_text(text + "\n", output)
    wrong = [
        results[name][kind]
        for name in ("interrupted and resumed", "one node killed half-way")
        for kind in ("lost", "twice", "other")
    ]
    return 1 if any(wrong) else 0


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
