"""Addresses: what is live, and what is never told of them."""

import pytest

from rtpolyp.video.address import is_live, redact


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("rtsp://cam:554/h264", "rtsp://cam:554/h264"),
        ("rtsp://nurse:planted@10.0.0.1:554/h264", "rtsp://***@10.0.0.1:554/h264"),
        ("rtsp://planted@cam/h264", "rtsp://***@cam/h264"),
        ("RTSP://nurse:planted@cam", "RTSP://***@cam"),
        ("rtsp://nurse:pl@planted@cam/h264", "rtsp://***@cam/h264"),
        ("rtsp://nurse:planted/?#@cam/h264", "rtsp://***@cam/h264"),
        ("http://cam/live?token=planted&channel=2", "http://cam/live?token=***&channel=2"),
        ("http://cam/live?Password=planted", "http://cam/live?Password=***"),
        ("http://cam/live?planted", "http://cam/live?***"),
        ("http://cam/live#planted", "http://cam/live#***"),
        ("http://cam/user=admin_password=planted_channel=1.sdp", "http://cam/***"),
        ("rtsps:nurse:planted@cam", "rtsps:***@cam"),
        ("udp://@:1234?fifo_size=300&udp", "udp://@:1234?fifo_size=300&udp"),
        ("/dev/video0", "/dev/video0"),
        ("clips/a?b=c@d.mp4", "clips/a?b=c@d.mp4"),
        (r"C:\clips\a@b.mp4", r"C:\clips\a@b.mp4"),
        ("-", "-"),
    ],
)
def test_redact(address, told):
    assert redact(address) == told
    assert redact(told) == told


@pytest.mark.parametrize("address", ["0", "12", "/dev/video1", "-", "rtsp://cam/a", "http://cam/a.mp4"])
def test_live_addresses(address):
    assert is_live(address)


@pytest.mark.parametrize("address", ["clip.mp4", "frames/*.png", "./0", "frames", r"C:\clip.mp4", "a:b.mp4"])
def test_addresses_of_files(address):
    assert not is_live(address)
