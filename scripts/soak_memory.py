"""Run `rtpolyp run` on a 20-minute 1080p clip and watch its memory.

python scripts/soak_memory.py [--minutes 20] [-o docs/results/soak_memory.json]

The clip is a phantom of ten seconds, its packets repeated: real H.264, no re-encoding. The resident
memory of the process (RSS, MiB) is sampled each second; the peak must stay within 50 MiB of the value
after one minute, and under 800 MiB. Exit code 1 when it does not.
"""

import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import av
import psutil
from cyclopts import Parameter

from rtpolyp.errors import InputError
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.figure_files import write_text
from rtpolyp.phantom_clip import render_clip
from rtpolyp.terminal.command_line import make_app, run_app

MIB = 2**20
GROWTH_LIMIT_MIB = 50
PEAK_LIMIT_MIB = 800


app = make_app("python scripts/soak_memory.py", __doc__, help_format="plaintext")


def repeat(clip: Path, target: Path, seconds: float) -> int:
    """Write `clip`'s packets again and again until `seconds` are full; return the number of frames."""
    frames = 0
    with av.open(str(target), "w") as output:
        stream, offset, written = None, 0, 0.0
        while written < seconds:
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream = output.add_stream_from_template(video)
                    stream.time_base = video.time_base
                if video.average_rate is None or video.time_base is None:
                    raise InputError(f"{clip}: has no frame rate; give another clip")
                step = round(1 / video.average_rate / video.time_base)
                last = 0
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    last = max(last, packet.pts + step)
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    output.mux(packet)
                    frames += 1
                offset += last
                written = float(offset * video.time_base)
    return frames


def watch(command: list[str]) -> list[float]:
    """Run `command`; return its RSS in MiB, once a second."""
    samples = []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    resident = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            samples.append(resident.memory_info().rss / MIB)
        except psutil.NoSuchProcess:
            break
        time.sleep(1)
    if process.wait() != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return samples


@app.default
def main(
    *,
    minutes: float = 20.0,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/soak_memory.json"),
) -> int:
    """Measure and report; exit code 1 where memory grew.

    Parameters
    ----------
    minutes
        Length of the clip.
    output
        The report.
    """
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder, "short.mp4"), Path(folder, "long.mp4")
        render_clip(short, seconds=10, size=(1920, 1080), frame_rate=Fraction(25), seed=1)
        frames = repeat(short, long, 60 * minutes)
        start = time.perf_counter()
        command = [sys.executable, "-m", "rtpolyp", "run", str(long), "-o", str(Path(folder, "out.mp4"))]
        samples = watch(command)
        elapsed = time.perf_counter() - start
    after_a_minute, peak = samples[min(60, len(samples) - 1)], max(samples)
    report = {
        "command": "python scripts/soak_memory.py " + " ".join(sys.argv[1:]),
        "machine": f"{this_processor().name}, {this_processor().cores} cores",
        "clip": f"1920x1080 H.264, {minutes:g} minutes, {frames} frames",
        "seconds": round(elapsed, 1),
        "frames_per_second": round(frames / elapsed, 1),
        "rss_after_one_minute_mib": round(after_a_minute, 1),
        "rss_peak_mib": round(peak, 1),
        "rss_each_30_s_mib": [round(value, 1) for value in samples[::30]],
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(report, indent=1) + "\n", output)
    print(json.dumps(report, indent=1))
    return int(peak - after_a_minute > GROWTH_LIMIT_MIB or peak > PEAK_LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
