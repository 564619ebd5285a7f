"""A live source with an overlay of one's own, recorded: python examples/live_overlay.py rtsp://… out.mp4 10

The source may be a camera (0) or any stream's URL. It gives its newest frame each time, so a slow loop leaves
frames out and never falls behind.
"""

import sys
import time

import cv2

import rtpolyp


def main(source: str, recording: str, seconds: str) -> None:
    with rtpolyp.load("pranet-if") as model, rtpolyp.open_source(source) as live:
        results, end = model.stream(live), time.monotonic() + float(seconds)
        with rtpolyp.VideoSink(recording, live) as sink:
            for result in results:
                sink.write(result.frame.with_bgr(drawn(result)))
                if time.monotonic() >= end:
                    break
        results.close()


def drawn(result: rtpolyp.Result):
    """The fill of rtpolyp, and a cross and the confidence of our own."""
    picture = result.draw(style="fill")
    for polyp in result.polyps:
        x, y = (int(value) for value in polyp.contour.mean(axis=0))
        cv2.drawMarker(picture, (x, y), (255, 255, 255), cv2.MARKER_CROSS, 20, 2)
        label = f"#{polyp.track} {100 * polyp.confidence:.0f} %"
        cv2.putText(picture, label, (polyp.box.x, polyp.box.y - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,) * 3)
    return picture


if __name__ == "__main__":
    main(*sys.argv[1:])
