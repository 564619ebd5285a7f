"""Memory of long runs against short ones: a folder of 20,000 pictures, and a video of a million tiny frames.

python scripts/measure_flat_memory.py [--pictures 20000] [--frames 1000000] [-o docs/results/flat_memory.json]

All pictures are drawn here: grey, a tenth with a red disc. The folder goes through `run_file` with the fast
bundle to masks and JSON lines; the video, whose few frames' packets are repeated in Matroska, to JSON lines.
There the engine measures redness, since a million frames through a network take hours. The peak of the
resident memory (VmHWM of the process that reads and writes, MiB; Linux) is compared with that of a fiftieth
of the same. Exit code 1 where it is more than 64 MiB higher.
"""

import dataclasses
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import av
import cv2
import numpy as np
from cyclopts import App, Parameter
from numpy.typing import NDArray

from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.inference.local_engine import SlotEngine
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_text
from rtpolyp.run import FileSummary, run_file
from rtpolyp.spec import EngineSpec
from rtpolyp.terminal.command_line import run_app
from rtpolyp.video.outputs import Outputs

SIZE = (64, 64)
SHORTER = 50
LIMIT_MIB = 64
GROUP = 50  # frames, whose packets are repeated
WITH_DISC = 10  # one picture in so many
RATE = Fraction(25)

app = App(
    name="python scripts/measure_flat_memory.py", help=__doc__, help_format="plaintext", version_flags=()
)


class Redness(SlotEngine):
    """Calls red pixels polyp."""

    backend = "redness"

    def __init__(self) -> None:
        spec = EngineSpec("redness", "none", "none", *SIZE[::-1], 0.5, 0.0, 0.0)
        super().__init__(spec, "redness", [np.zeros((1, *SIZE[::-1], 3), np.uint8) for _ in range(2)])

    def _infer(self, slot: int, count: int) -> NDArray[np.uint8]:
        frames = self._inputs[slot][:count]
        return np.where(frames[..., 2] > frames[..., 1], np.uint8(255), np.uint8(0))


def picture(number: int) -> NDArray[np.uint8]:
    """`(H, W, 3) uint8 BGR`: grey, in some a disc."""
    bgr = np.full((*SIZE[::-1], 3), 90, np.uint8)
    if number % WITH_DISC == 0:
        cv2.circle(bgr, (10 + number % 44, 24), 6, (60, 60, 220), -1)
    return bgr


def write_folder(folder: Path, count: int) -> None:
    """PNG files."""
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:06}.png"), picture(number))


def write_video(path: Path, count: int) -> None:
    """H.264 in Matroska."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "bf": "0", "g": "50"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = *SIZE, "yuv420p", 1 / RATE
        packets: list[bytes] = []
        for number in range(GROUP):
            frame = av.VideoFrame.from_ndarray(picture(number), format="bgr24")
            frame.pts, frame.time_base = number, 1 / RATE
            packets += [bytes(packet) for packet in stream.encode(frame)]
        packets += [bytes(packet) for packet in stream.encode(None)]
        for number in range(count):
            packet = av.Packet(packets[number % GROUP])
            packet.pts = packet.dts = number
            packet.stream, packet.time_base = stream, 1 / RATE
            packet.is_keyframe = number % GROUP == 0
            out.mux(packet)


def run_pictures(folder: Path) -> FileSummary:
    """Run the network on a folder of pictures."""
    recipe = EngineRecipe("pranet-if-fast", "openvino", "int8", optimise_for="throughput")
    results = Outputs(masks=folder.with_name(f"{folder.name} masks"), json=folder.with_suffix(".jsonl"))
    return run_file(folder, results, model=recipe, crop="off")


def run_video(path: Path) -> FileSummary:
    """Run over a video, with redness in place of a network."""
    with Redness() as engine:
        return run_file(path, Outputs(json=path.with_suffix(".jsonl")), model=engine, crop="off")


def measured(run: Callable[[Path], FileSummary], path: Path) -> dict[str, Any]:
    """What a run took, in a process of its own."""
    begun = time.perf_counter()
    summary = run(path)
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return {
        "frames": summary.frames,
        "frames_with_polyps": summary.frames_with_polyps,
        "peak_mib": round(peak / 1024, 1),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def compare(
    write: Callable[[Path, int], None], run: Callable[[Path], FileSummary], path: Path, count: int
) -> dict[str, Any]:
    """A short run and the long one."""
    report: dict[str, Any] = {}
    for length, frames in (("short", count // SHORTER), ("long", count)):
        source = path.with_name(f"{length} {path.name}")
        write(source, frames)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            report[length] = pool.submit(measured, run, source).result()
        print(path.name, length, report[length], flush=True)
    return report | {"growth_mib": round(report["long"]["peak_mib"] - report["short"]["peak_mib"], 1)}


@app.default
def main(
    *,
    pictures: int = 20_000,
    frames: int = 1_000_000,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/flat_memory.json"),
) -> int:
    """Exit code 1 where memory grew.

    Parameters
    ----------
    pictures
        In the folder.
    frames
        Of the video.
    output
        The report.
    """
    with tempfile.TemporaryDirectory() as scratch:
        tasks = {
            "folder": (write_folder, run_pictures, Path(scratch, "pictures"), pictures),
            "video": (write_video, run_video, Path(scratch, "video.mkv"), frames),
        }
        with ThreadPoolExecutor(len(tasks)) as pool:  # each waits for a process of its own
            report = dict(zip(tasks, pool.map(lambda task: compare(*task), tasks.values()), strict=True))
    machine = dataclasses.asdict(this_machine())
    write_text(json.dumps({"size": SIZE, "machine": machine, **report}, indent=1) + "\n", output)
    return int(any(one["growth_mib"] > LIMIT_MIB for one in report.values()))


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
