"""Polyps in a loop of one's own, here around OpenCV's reader: python examples/own_loop.py video.mp4"""

import sys

import cv2

import rtpolyp


def main(video: str) -> None:
    capture = cv2.VideoCapture(video)
    with rtpolyp.load("pranet-if") as model:
        session = model.session(alert_delay_ms=200)
        while True:
            pts_seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            there, frame = capture.read()
            if not there:
                break
            result = session(frame, pts_seconds=pts_seconds)
            tracks = [polyp.track for polyp in result.polyps]
            print(f"{pts_seconds:6.2f} s: {result.quality}, tracks {tracks}")
            if result.alert.started:
                print(f"{pts_seconds:6.2f} s: ALERT, polyp {result.alert.track}")
    capture.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
