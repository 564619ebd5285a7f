"""Record clips of every container, codec, time base and sound, and compare them with what ffprobe reads.

    python scripts/compare_streams.py          # needs ffmpeg and ffprobe; writes docs/results/streams.md

Each clip is made by ffmpeg, read by `open_source` from the file, and from a named pipe too where it can be
streamed, and recorded by VideoSink with its sound. Compared with ffprobe's of the clip are the
number of frames, every timestamp from the first picture on, and begin and end of the sound. The product is
whole: every video codec of a container, with every sound and without, at every frame rate and a variable one.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2  # noqa: F401 – before av, always

from rtpolyp.errors import RtpolypError
from rtpolyp.measure.figure_files import write_text
from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import VideoSink

RESULT = Path(__file__).parents[1] / "docs" / "results" / "streams.md"
SECONDS = 1
RATES = {"25": "25", "29.97": "30000/1001", "60": "60", "variable": "25"}
VARIABLE = "select='lt(n,6)+not(mod(n,3))'"  # of 25 frames a second those of a scene that stands still
CONSTANT = ("avi", "mxf", "h264", "mpg", "vob", "wmv")  # containers to which ffmpeg writes even intervals
STREAMED = ("mkv", "webm", "ts", "m2ts", "mpg", "vob", "flv", "h264")  # that are read from first to last byte
WAYS = ("file", "named pipe")
X264, B264 = ["libx264", "-preset", "ultrafast"], ["libx264", "-preset", "veryfast", "-bf", "3"]
X265 = ["libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"]
VP9 = ["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]
CONTAINERS: dict[str, tuple[list[list[str]], list[str]]] = {  # video codecs and sounds
    "mp4": ([B264, X265, ["mpeg4", "-bf", "2"]], ["aac", "libmp3lame"]),
    "mov": ([X264, ["mjpeg", "-q:v", "2"], ["prores_ks"]], ["pcm_s24le", "alac"]),
    "mkv": ([B264, ["ffv1"], VP9], ["libopus", "flac", "ac3"]),
    "webm": ([VP9], ["libopus"]),
    "ts": ([B264, X265, ["mpeg2video", "-bf", "2"]], ["aac", "mp2"]),
    "m2ts": ([B264], ["ac3"]),
    "mpg": ([["mpeg2video", "-bf", "2"]], ["mp2"]),
    "vob": ([["mpeg2video", "-bf", "2"]], ["ac3"]),
    "avi": ([B264, ["mpeg4", "-bf", "2"], ["mjpeg", "-q:v", "2"]], ["pcm_s16le", "libmp3lame"]),
    "flv": ([B264], ["aac"]),
    "wmv": ([["wmv2"]], ["wmav2"]),
    "mxf": ([["mpeg2video"]], ["pcm_s16le"]),
    "h264": ([B264], []),
}
WITHOUT_TIMES = ("avi", "h264")  # of showing: the k-th picture gets the k-th time of decoding, or interval
NEAR = 0.0015  # seconds: containers that count in ms
SOUND_NEAR = 0.07  # seconds: three frames of AAC, its run-up included


class Combination(NamedTuple):
    """One clip of the product."""

    container: str
    video: list[str]  # ffmpeg's encoder and its options
    rate: str  # key of RATES
    sound: str  # ffmpeg's encoder; "" without

    @property
    def codec(self) -> str:
        """The video's encoder, and whether it reorders frames."""
        return f"{self.video[0]}{' with B-frames' if '-bf' in self.video else ''}"

    @property
    def ways(self) -> tuple[str, ...]:
        """How it can be read."""
        return WAYS if self.container in STREAMED else WAYS[:1]


def combinations() -> Iterator[Combination]:
    """The whole product."""
    for container, (videos, sounds) in CONTAINERS.items():
        for video, rate, sound in itertools.product(videos, RATES, [*sounds, ""]):
            if rate != "variable" or container not in CONSTANT:
                yield Combination(container, video, rate, sound)


def probe(path: Path, kind: str, entries: str) -> list[dict[str, Any]]:
    """ffprobe's packets or frames of the first stream of a kind."""
    command = ["ffprobe", "-v", "error", "-select_streams", f"{kind}:0", "-show_entries", entries]
    said = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(said.stdout).get(entries.split("=")[0] + "s", [])
    return rows


def picture_times(path: Path) -> list[float]:
    """When each frame is shown, in seconds."""
    name = "best_effort_timestamp_time"
    return [float(row.get(name, "nan")) for row in probe(path, "v", f"frame={name}")]


def sound_span(path: Path) -> tuple[float, float] | None:
    """Begin and end of the sound in seconds."""
    rows = [row for row in probe(path, "a", "packet=pts_time,duration_time") if "pts_time" in row]
    if not rows:
        return None
    return float(rows[0]["pts_time"]), float(rows[-1]["pts_time"]) + float(rows[-1].get("duration_time", 0))


def compare(clip: Path, folder: Path, rate: str, way: str) -> list[str]:
    """What of the recording differs from the clip; nothing, if all is well."""
    out, faults, read = folder / "out.mp4", [], clip
    if way == "named pipe":
        read = folder / f"pipe{clip.suffix}"
        read.unlink(missing_ok=True)
        os.mkfifo(read)
        threading.Thread(target=_feed, args=(clip, read), daemon=True).start()
    with open_source(read) as source, VideoSink(out, source) as sink:
        seen = []
        for frame in source:
            seen.append(frame.pts_seconds)
            sink.write(frame)
        faults += source.remarks.lines
    numerator, _, denominator = rate.partition("/")
    interval = int(denominator or 1) / int(numerator)
    shown = picture_times(clip)
    untimed = clip.suffix[1:] in WITHOUT_TIMES
    wanted = [at - shown[0] for at in shown]
    if untimed:
        decoded = [row.get("dts_time") for row in probe(clip, "v", "packet=dts_time")]
        wanted = [i * interval if at is None else float(at) for i, at in enumerate(decoded)]
    written = picture_times(out)
    if not len(wanted) == len(seen) == len(written):
        return [*faults, f"frames: {len(wanted)}, read {len(seen)}, written {len(written)}"]
    worst = max(max(abs(a - b), abs(a - c)) for a, b, c in zip(wanted, seen, written, strict=True))
    if worst > NEAR:
        faults.append(f"a time is off by {1000 * worst:.1f} ms")
    given, kept = sound_span(clip), sound_span(out)
    if (given is None) != (kept is None):
        faults.append("sound: " + ("lost" if kept is None else "from nowhere"))
    elif given is not None and kept is not None:
        start = 0.0 if untimed else shown[0]
        begin, end = max(0.0, given[0] - start), min(given[1] - start, wanted[-1] + interval)
        if abs(kept[0] - begin) > SOUND_NEAR or abs(kept[1] - end) > SOUND_NEAR:
            faults.append(f"sound from {kept[0]:.3f} to {kept[1]:.3f} s for {begin:.3f} to {end:.3f} s")
    return faults


def _feed(clip: Path, pipe: Path) -> None:
    with pipe.open("wb") as stream:
        stream.write(clip.read_bytes())


def make(clip: Path, wanted: Combination) -> str:
    """Make a clip; what ffmpeg says where it cannot."""
    picture = f"testsrc2=size=160x128:rate={RATES[wanted.rate]}:duration={SECONDS}"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture]
    if wanted.sound:
        command += ["-f", "lavfi", "-i", f"sine=sample_rate=48000:duration={SECONDS}", "-c:a", wanted.sound]
    if wanted.rate == "variable":
        command += ["-vf", VARIABLE, "-vsync", "vfr"]
    pixels = "yuv422p10le" if "prores_ks" in wanted.video else "yuv420p"
    command += ["-pix_fmt", pixels, "-c:v", *wanted.video, str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def try_one(wanted: Combination, folder: Path) -> dict[str, list[str]] | None:
    """What differs, by the way of reading; None where ffmpeg makes no such clip."""
    clip = folder / f"clip.{wanted.container}"
    if make(clip, wanted):
        return None
    differing = {}
    for way in wanted.ways:
        try:
            differing[way] = compare(clip, folder, RATES[wanted.rate], way)
        except RtpolypError as exc:
            differing[way] = [str(exc).replace(str(folder), "")]
    return differing


def main() -> int:
    """Try all of them; the exit code is 1 where one differs."""
    rows, skipped = [], 0
    with tempfile.TemporaryDirectory() as name:
        for wanted in combinations():
            differing = try_one(wanted, Path(name))
            if differing is None:
                skipped += 1  # e.g. MXF at 60 Hz
                continue
            rows.append(row_of(wanted, differing))
            print(rows[-1], flush=True)
            write_result(rows, skipped)
    return int(count_bad(rows) > 0)


def row_of(wanted: Combination, differing: dict[str, list[str]]) -> str:
    """A line of the table."""
    told = [f"{way}: {'; '.join(faults)}" for way, faults in differing.items() if faults]
    said = "; ".join(told) or f"same ({', '.join(differing)})"
    return f"| {wanted.container} | {wanted.codec} | {wanted.rate} | {wanted.sound or '–'} | {said} |"


def count_bad(rows: list[str]) -> int:
    """How many clips differ in some way."""
    return sum("| same (" not in row for row in rows)


def write_result(rows: list[str], skipped: int) -> None:
    """Write the table; a run that is cut off leaves what it tried, and says how much is missing."""
    left = len(list(combinations())) - len(rows) - skipped
    missing = f" {left} of the product were not tried." if left else ""
    near, sound_near = 1000 * NEAR, 1000 * SOUND_NEAR
    head = (
        "# Containers, codecs, rates and sounds against ffprobe\n\n"
        f"By `python scripts/compare_streams.py`: {len(rows)} clips, {count_bad(rows)} of which differ; "
        f"ffmpeg makes no clip of {skipped} more.{missing} Each is read from a file and, where its container "
        "can be streamed, from a named pipe. Frames and sound of the recording are compared with ffprobe's "
        f"of the clip, times within {near:.1f} ms, the sound's begin and end within {sound_near:.0f} ms.\n\n"
        "| container | video | frames/s | sound | recording |\n|---|---|---|---|---|\n"
    )
    write_text(head + "\n".join(rows) + "\n", RESULT)


if __name__ == "__main__":
    sys.exit(main())
