"""Whitelists: the protocols and formats that libav may use for an input, by the kind of its address."""

from rtpolyp.video.address import STDIN, scheme_of

__all__ = ["EMBEDDED", "whitelist"]

EMBEDDED = "embedded:"  # no address: the video lies inside another file that is open

# Formats that hold their pictures themselves. Those that name other files or hosts are missing: playlists
# (hls, concat, sdp), numbered images, subtitles with an index, and libav's own generators and devices.
CONTAINERS: tuple[str, ...] = (
    *("asf", "avi", "dv", "flv", "live_flv", "matroska", "mov", "mp4", "mpeg", "mpegts", "mxf", "nut", "ogg"),
    *("h264", "hevc", "ivf", "jpeg_pipe", "m4v", "mjpeg", "mpegvideo", "mpjpeg", "obu", "vc1", "webm"),
    "yuv4mpegpipe",
)

PROTOCOLS = {
    "http": "http,tcp,httpproxy",
    "https": "https,tls,tcp,httpproxy",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "rtsp": "rtp,udp,tcp",
    "rtsps": "rtp,srtp,udp,tls,tcp",
    "srt": "srt",
    "tcp": "tcp",
    "udp": "udp",
}


def whitelist(address: str | None) -> dict[str, str]:
    """Options of libav for a live address, for a file (None), or for EMBEDDED.

    A format that is not in it is refused before it opens anything, and so is a protocol, be it named by the
    address, by a playlist, by a container or by a redirect.
    """
    protocols, formats = "file", CONTAINERS
    if address == STDIN:
        protocols = "pipe"
    elif address == EMBEDDED:
        protocols = ""  # nothing: its bytes come from the file that holds it
    elif address is not None:
        protocols, formats = PROTOCOLS[scheme_of(address) or ""], (*CONTAINERS, "rtsp")
    return {"protocol_whitelist": protocols, "format_whitelist": ",".join(formats)}
