"""What a hostile sender sends: everything that makes a demuxer open something else."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.runtime.video.access.canaries import Canaries

__all__ = ["SOME", "attacks", "documents", "targets"]

PART = "#EXTINF:2,\n{}\n"
SOME = (
    "absolute",
    "file://",
    "crypto:",
    "subfile:",
    "data:",
    "http:",
    "udp:",
)  # targets, where all take long


def targets(canary: Canaries, start: Path) -> dict[str, str]:
    """Spellings of the canaries, as seen from a playlist in the folder `start`."""
    file, host = str(canary.file), f"127.0.0.1:{canary.port}"
    return {
        "absolute": file,
        "relative": os.path.relpath(file, start),
        "file:": f"file:{file}",
        "file://": f"file://{file}",
        "upper case": f"FILE:{file}",
        "link": "link.ts",
        "UNC": f"//127.0.0.1/share{file}",
        "UNC, backslashes": rf"\\127.0.0.1\share\{canary.file.name}",
        "percent": "%2e%2e/" + os.path.relpath(file, start.parent),
        "crypto:": f"crypto:{file}",
        "crypto+file:": f"crypto+file:{file}",
        "subfile:": f"subfile,,start,0,end,0,,:{file}",
        "async:": f"async:{file}",
        "cache:": f"cache:{file}",
        "concat:": f"concat:{file}|{file}",
        "concatf:": f"concatf:{file}",
        "fd:": f"fd:{file}",
        "pipe:": "pipe:9",
        "data:": "data:application/x-mpegurl,%23EXTM3U%0A%23EXTINF:1,%0Afile:" + file,
        "http:": f"http://{host}/a.ts",
        "https:": f"https://{host}/a.ts",
        "tcp:": f"tcp://{host}/a.ts",
        "udp:": f"udp://{host}?a.ts",
        "rtp:": f"rtp://{host}/a.ts",
        "rtsp:": f"rtsp://{host}/a.ts",
        "rtmp:": f"rtmp://{host}/a/b.ts",
        "ftp:": f"ftp://{host}/a.ts",
        "gopher:": f"gopher://{host}/a.ts",
        "mmst:": f"mmst://{host}/a.ts",
        "unix:": f"unix:{file}",
    }


def documents(target: str, canary: Canaries) -> dict[str, bytes]:
    """Everything that names `target`, in the formats that libav reads."""
    head = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
    end = "#EXT-X-ENDLIST\n"
    texts = {
        "HLS": f"{head}{PART.format(target)}{PART.format(target)}{end}",
        "HLS, live": f"#EXTM3U\n#EXT-X-TARGETDURATION:0\n{PART.format(target)}",
        "HLS, second part": f"{head}{PART.format('good.ts')}{PART.format(target)}{end}",
        "HLS, nested": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
        "HLS, key": f'{head}#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n{PART.format("good.ts")}{end}',
        "HLS, map": f'{head}#EXT-X-MAP:URI="{target}"\n{PART.format("good.ts")}{end}',
        "HLS, sound": "#EXTM3U\n"
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,AUTOSELECT=YES,URI="{target}"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\ngood.m3u8\n',
        "HLS, subtitles": "#EXTM3U\n"
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="s",DEFAULT=YES,AUTOSELECT=YES,URI="{target}"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,SUBTITLES="s"\ngood.m3u8\n',
        "concat": f"ffconcat version 1.0\nfile '{target}'\n",
        "concat, options": f"ffconcat version 1.0\nfile good.ts\noption safe 0\nfile '{target}'\n",
        "DASH": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="0" bandwidth="1">'
        f"<BaseURL>{target}</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>\n",
        "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"a=control:{target}\nm=video {canary.port} RTP/AVP 33\n",
        "VobSub": "# VobSub index file, v7 (do not modify this line!)\n# "
        f"{target}\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
        "ASX": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>\n',
        "RealMedia": f"{target}\n",
        "SmoothStreaming": f'<SmoothStreamingMedia><StreamIndex Url="{target}"/></SmoothStreamingMedia>\n',
        "XSPF": f'<?xml version="1.0"?><playlist><track><location>{target}</location></track></playlist>\n',
    }
    return {name: text.encode() for name, text in texts.items()}


def attacks(canary: Canaries, folder: Path, only: tuple[str, ...] = ()) -> Iterator[tuple[str, bytes]]:
    for spelling, target in targets(canary, folder).items():
        if not only or spelling in only:
            for document, data in documents(target, canary).items():
                if document == "HLS, live" and spelling not in SOME:
                    continue  # two seconds each
                yield f"{document} with {spelling}", data
