"""No sender and no file makes the program open another file, host or scheme: attacks by every way in."""

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.source import open_live, open_source
from tests.runtime.video.access.attacks import SOME, attacks, documents, targets
from tests.runtime.video.access.canaries import Canaries
from tests.runtime.video.access.ways import answering, fifo, http, tcp, udp

SHORT = InputOptions(open_seconds=2.0, stall_seconds=0.6)
FRAMES = 60  # of a source that opens: the good part and more


def play(address: str) -> None:
    """Open and read as far as it goes."""
    with contextlib.suppress(InputError), open_source(address, options=SHORT) as source:
        for frame in source:
            if frame.index == FRAMES:
                return
            if frame.index and hasattr(source, "outage") and source.outage:
                return


@pytest.mark.parametrize("name", ["play.m3u8", "play.ts", "play.mp4", "play.png"])
def test_local_files_open_nothing_out_of_their_folder(canary: Canaries, folder: Path, name: str):
    touched = {}
    for attack, data in attacks(canary, folder):
        (folder / name).write_bytes(data)
        play(str(folder / name))
        if found := canary.touched():
            touched[attack] = found
    assert not touched


def test_a_local_playlist_plays_its_own_parts(folder: Path):
    with open_source(folder / "good.m3u8") as source:
        assert len(list(source)) == 10


def test_the_canaries_tell_who_touches_them(canary: Canaries):
    assert canary.touched() == []
    canary.file.read_bytes()
    with socket.create_connection(("127.0.0.1", canary.port)) as client:
        client.recv(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", ("127.0.0.1", canary.port))
        while len(canary.visits) < 2:
            pass
    assert sorted(canary.touched()) == ["the file", "the port, by TCP", "the port, by UDP"]


@pytest.mark.parametrize("way", ["tcp", "udp", "fifo"])
def test_senders_open_nothing(canary: Canaries, folder: Path, way: str):
    ways = {"tcp": tcp, "udp": udp, "fifo": lambda data: fifo(data, folder)}
    touched = {}
    for attack, data in attacks(canary, folder, {"tcp": (), "udp": ("absolute",), "fifo": SOME}[way]):
        if way == "udp" and attack.partition(" ")[0] not in ("HLS", "concat", "DASH", "SDP"):
            continue  # until it is clear that nothing else comes, seconds go by
        with ways[way](data) as address:
            play(address)
        if found := canary.touched():
            touched[attack] = found
    assert not touched


@pytest.mark.parametrize("path", ["/live.ts", "/live.m3u8", "/live"])
def test_http_opens_no_other_host_and_no_file(canary: Canaries, folder: Path, path: str):
    touched = {}
    for attack, data in attacks(canary, folder, SOME):
        kind = "application/vnd.apple.mpegurl" if attack.startswith("HLS") else "video/mp2t"
        with http(data, folder, path, kind) as address:
            play(address)
        if found := canary.touched():
            touched[attack] = found
    assert not touched


@pytest.mark.parametrize(
    ("protocol", "status"),
    [
        ("HTTP/1.1", "301 Moved"),
        ("HTTP/1.1", "302 Found"),
        ("HTTP/1.1", "308 Moved"),
        ("RTSP/1.0", "302 Found"),
    ],
)
def test_redirects_stay_where_the_user_sent_them(canary: Canaries, folder: Path, protocol: str, status: str):
    touched = {}
    for spelling, target in targets(canary, folder).items():
        with answering(status, target, protocol) as address:
            with pytest.raises(InputError, match=r"it leads to another|more than 5 redirects") as caught:
                open_live(address, options=SHORT)
            assert "planted" not in str(caught.value)
        if found := canary.touched():
            touched[spelling] = found
    assert not touched


def test_a_redirect_to_a_host_that_is_allowed_is_followed(good: Path, folder: Path):
    with (
        http(good.read_bytes(), folder, "/there.ts") as there,
        answering("302 Found", there, "HTTP/1.1") as address,
    ):
        place = there.split("/")[2]
        with pytest.raises(InputError, match=f"another host or port; --allow-host {place} lets it"):
            open_live(address, options=SHORT)
        for allowed in (place, "127.0.0.1"):
            with open_live(address, options=InputOptions(allowed_hosts=(allowed,))) as source:
                assert next(iter(source)).index == 0


def test_a_playlist_over_http_plays_its_own_parts(folder: Path):
    with (
        http((folder / "good.m3u8").read_bytes(), folder, "/live.m3u8") as address,
        open_live(address) as source,
    ):
        assert len(list(source)) == 10


@pytest.mark.parametrize(
    "address",
    ["crypto+file://{}", "data://{}", "subfile,,start,0,end,0,,:file://{}", "async:file://{}"],
)
def test_addresses_of_other_schemes_are_refused(canary: Canaries, address: str):
    with pytest.raises(InputError, match="such addresses are not read; send by rtsp"):
        open_source(address.format(canary.file))
    assert canary.touched() == []


def test_the_standard_input_opens_nothing(canary: Canaries, folder: Path):
    code = "from rtpolyp.video.source import open_source\nwith open_source('-') as source: list(source)\n"
    documents = [data for attack, data in attacks(canary, folder, ("absolute",))]
    for number, data in enumerate([*documents, (folder / "good.ts").read_bytes()]):
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, timeout=60)
        assert (done.returncode == 0) == (number == len(documents))
        assert canary.touched() == []


def test_rtmp_and_rtsp_bodies_open_nothing(canary: Canaries, folder: Path):
    for data in documents(f"file:{canary.file}", canary).values():
        with tcp(data) as address:
            for scheme in ("rtmp", "rtsp"):
                with pytest.raises(InputError):
                    open_live(address.replace("tcp", scheme) + "/a/b", options=SHORT)
        assert canary.touched() == []


@pytest.mark.parametrize("host", ["http://cam", "cam/a", "cam:port", "", "a b"])
def test_a_host_that_is_none_is_refused(host: str):
    with pytest.raises(InputError, match=r"allowed_hosts .*: give HOST or HOST:PORT"):
        open_live("http://127.0.0.1:9/a", options=InputOptions(allowed_hosts=(host,)))
