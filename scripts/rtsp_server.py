"""Publish a prepared H.264 file over RTSP, in a loop and without encoding it again.

For tests and soaks of live sources, by GStreamer's RTSP server (Debian: apt-get install
gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-bad), which only the
system's Python can import. That one has no cyclopts, so this script alone parses its options by argparse:

    /usr/bin/python3 scripts/rtsp_server.py clip.h264 --rate 30

The file is an elementary stream without B-frames; its frames are published at --rate. Prints
`ready rtsp://…` when it listens and `playing since SECONDS` when a first client plays: frame n of the
stream is published n / rate seconds after that time of the monotonic clock, which all processes share.
"""

import argparse
import itertools
from collections.abc import Iterator
from fractions import Fraction

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  # their versions come first


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clip", help="elementary stream, *.h264")
    parser.add_argument("--rate", type=Fraction, default=Fraction(30), help="frames per second")
    parser.add_argument("--port", type=int, default=0, help="of loopback; a free one by default")
    parser.add_argument("--user", help="with --password: refuse everybody else")
    parser.add_argument("--password")
    arguments = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=str(arguments.port))
    factory = _factory(arguments.clip, arguments.rate)
    if arguments.user:
        _protect(server, factory, arguments.user, arguments.password)
    server.get_mount_points().add_factory("/stream", factory)
    server.attach(None)
    print(f"ready rtsp://127.0.0.1:{server.get_bound_port()}/stream", flush=True)
    GLib.MainLoop().run()


def _access_units(clip: str) -> list[bytes]:
    """The file's pictures, each with the parameter sets that belong to it."""
    caps = "video/x-h264,stream-format=byte-stream,alignment=au"
    pipeline = Gst.parse_launch(
        f'filesrc location="{clip}" ! h264parse ! {caps} ! appsink name=out sync=false'
    )
    pipeline.set_state(Gst.State.PLAYING)
    units, out = [], pipeline.get_by_name("out")
    while (sample := out.emit("pull-sample")) is not None:
        buffer = sample.get_buffer()
        units.append(buffer.extract_dup(0, buffer.get_size()))
    pipeline.set_state(Gst.State.NULL)
    return units


def _factory(clip: str, rate: Fraction) -> GstRtspServer.RTSPMediaFactory:
    units = _access_units(clip)
    factory = GstRtspServer.RTSPMediaFactory()
    hertz = f"{rate.numerator}/{rate.denominator}"
    caps = f"video/x-h264,stream-format=byte-stream,alignment=au,framerate={hertz}"
    factory.set_launch(
        f"( appsrc name=pictures format=time is-live=true block=true max-buffers=4 caps={caps} "
        "! h264parse config-interval=-1 ! rtph264pay name=pay0 )"
    )
    factory.set_shared(True)  # all clients see the same moment

    def configure(_: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        media.connect("new-state", _announce)
        numbers = itertools.count()
        media.get_element().get_by_name("pictures").connect(
            "need-data", lambda source, _: feed(source, numbers)
        )

    def feed(source: Gst.Element, numbers: Iterator[int]) -> None:
        number = next(numbers)
        buffer = Gst.Buffer.new_wrapped(units[number % len(units)])
        buffer.pts = buffer.dts = int(number / rate * Gst.SECOND)
        buffer.duration = int(Gst.SECOND / rate)
        source.emit("push-buffer", buffer)

    factory.connect("media-configure", configure)
    return factory


def _announce(media: GstRtspServer.RTSPMedia, state: int) -> None:
    if state == Gst.State.PLAYING:
        base_time = media.get_element().get_parent().get_base_time()
        print(f"playing since {base_time / Gst.SECOND:.6f}", flush=True)


def _protect(
    server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, user: str, password: str
) -> None:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role(user, "media.factory.access", True)
    permissions.add_permission_for_role(user, "media.factory.construct", True)
    factory.set_permissions(permissions)


if __name__ == "__main__":
    main()
