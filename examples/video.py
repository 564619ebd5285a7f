"""Outline a video, then list its polyps: python examples/video.py video.mp4 outlined.mp4"""

import json
import sys
from pathlib import Path

import rtpolyp


def main(video: str, outlined: str) -> None:
    lines = Path(outlined).with_suffix(".jsonl")
    outputs = rtpolyp.Outputs(video=outlined, json=lines)
    summary = rtpolyp.run_file(video, outputs, on_progress=tell)
    print(f"\n{summary.frames_with_polyps} of {summary.frames} frames show a polyp")

    times: dict[int, list[float]] = {}  # of each track, in seconds
    _, *frames, _ = map(json.loads, lines.read_text(encoding="utf-8").splitlines())  # header … summary
    for frame in frames:
        for polyp in frame["polyps"]:
            times.setdefault(polyp["track"], []).append(frame["pts_seconds"])
    for track, seconds in times.items():
        print(f"polyp {track}: from {min(seconds):.2f} to {max(seconds):.2f} s, in {len(seconds)} frames")


def tell(done: int, expected: int | None) -> None:
    print(f"\r{done} of {expected or '?'} frames", end="", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
