"""What becomes of an upload, and what is refused."""

import contextlib
import io
import itertools
import json
import re
import socket
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from rtpolyp.tryout.kinds import kind_of
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, make_clip
from tests.runtime.red_disc import disc, disc_clip
from tests.runtime.tryout.conftest import WAIT_SECONDS, serving

MIB = 1 << 20


def png(size=(160, 128)) -> bytes:
    return cv2.imencode(".png", disc(0, size))[1].tobytes()


def test_a_clip_gives_its_overlay_its_lines_and_its_report(served, tmp_path):
    key = served.upload(disc_clip(tmp_path / "a.mp4", frames=12, size=(160, 128)).read_bytes())
    job = served.until(key, "done", "failed")
    assert (job["error"], job["done"], job["picture"]) == ("", 12, False)
    overlay = served.client.get(f"/jobs/{key}/overlay")
    assert overlay.headers["content-type"] == "video/mp4"
    (tmp_path / "overlay.mp4").write_bytes(overlay.content)
    with open_source(tmp_path / "overlay.mp4") as source:
        assert len(list(source)) == 12
    lines = served.client.get(f"/jobs/{key}/results").text.splitlines()
    assert len(lines) == 14
    assert json.loads(lines[0])["source"] == "upload.mp4"
    report = served.client.get(f"/jobs/{key}/report")
    assert "attachment" in report.headers["content-disposition"]
    assert "upload.mp4" in report.text
    assert served.client.post(f"/jobs/{key}/close").status_code == 204
    assert served.client.get(f"/jobs/{key}").status_code == 404
    assert served.files == []


def test_a_picture_gives_a_picture(served):
    key = served.upload(png())
    assert served.until(key, "done", "failed")["picture"]
    overlay = np.frombuffer(served.client.get(f"/jobs/{key}/overlay").content, np.uint8)
    assert cv2.imdecode(overlay, cv2.IMREAD_COLOR).shape == (128, 160, 3)
    served.client.post(f"/jobs/{key}/close")


def test_one_at_a_time_each_with_its_place(served):
    keys = [served.upload(png()) for _ in range(2)]
    places = [served.client.get(f"/jobs/{key}").json()["place"] for key in keys]
    assert places == [0, 1]
    for key in keys:
        assert served.until(key, "done", "failed")["state"] == "done"
        served.client.post(f"/jobs/{key}/close")


def ask(served, head: str, pieces=()) -> bytes:
    """What the server answers to a request that does not end as it should."""
    host = served.url.removeprefix("http://")
    with socket.create_connection(host.split(":")) as connection:
        connection.settimeout(0.1)
        lines = f"POST /uploads HTTP/1.1\r\nHost: {host}\r\nOrigin: {served.url}\r\n{head}\r\n\r\n"
        connection.sendall(lines.encode())
        for piece in pieces:
            with contextlib.suppress(TimeoutError):
                return connection.recv(4096)
            connection.sendall(piece)
        connection.settimeout(WAIT_SECONDS)
        return connection.makefile("rb").read()


def test_an_upload_of_2_gb_is_refused_before_it_is_sent(served):
    answer = ask(served, f"Content-Length: {2 << 30}")
    assert answer.split()[1] == b"413"
    assert b"512 MiB" in answer
    assert served.files == []


def test_one_that_does_not_say_its_size_is_refused_on_the_way(bundle):
    with serving(bundle, most_bytes=MIB) as served:
        answer = served.client.post("/uploads", content=(png() + bytes(MIB // 4) for _ in range(8)))
        assert answer.status_code == 413
        assert served.files == []


def test_an_upload_that_never_ends_is_given_up(bundle):
    piece = b"64\r\n" + png()[:100] + b"\r\n"  # 100 bytes, as HTTP counts them
    with serving(bundle, upload_seconds=1.0) as served:
        answer = ask(served, "Transfer-Encoding: chunked", itertools.repeat(piece, 600))
        assert answer.split()[1] == b"408"
        assert served.files == []


@pytest.mark.parametrize(
    "data",
    [b"", b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n",
     b"<script>1</script>", b"\x7fELF" + bytes(600),
     b"PK\x03\x04" + bytes(600), b"\x00\x00\x00\x20ftypavif" + bytes(600)],
)  # fmt: skip
def test_what_is_no_picture_or_video_is_refused(served, data):
    answer = served.client.post("/uploads", content=data)
    assert answer.status_code == 415
    assert served.files == []


def test_broken_media_fail_in_one_line_without_a_folders_name(served):
    key = served.upload(b"\x00\x00\x00\x20ftypisom" + bytes(range(256)) * 40)
    job = served.until(key, "done", "failed")
    assert job["state"] == "failed"
    assert job["error"].startswith("upload.mp4: ")
    assert "\n" not in job["error"]
    assert str(served.jobs._root) not in job["error"]
    assert served.client.get(f"/jobs/{key}/overlay").status_code == 404
    served.client.post(f"/jobs/{key}/close")


def test_several_pictures_in_one_file_are_refused_in_words(served):
    page, content = Image.fromarray(disc(0, (64, 48))), io.BytesIO()
    page.save(content, "TIFF", save_all=True, append_images=[page])
    key = served.upload(content.getvalue())
    job = served.until(key, "done", "failed")
    assert job["error"] == "upload.tif: holds 2 pictures; save each as a file of its own"
    served.client.post(f"/jobs/{key}/close")


def test_a_bomb_that_declares_more_pixels_than_run_takes_is_refused(served):
    bomb = bytearray(png())
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    key = served.upload(bytes(bomb))
    job = served.until(key, "done", "failed")
    assert job["state"] == "failed"
    assert "pixels" in job["error"]
    served.client.post(f"/jobs/{key}/close")


def test_a_job_that_takes_too_long_is_ended(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    clip = make_clip(tmp_path / "long.mp4", Clip(frames=250, size=(160, 128)), disc)
    with serving(bundle, job_seconds=0.3) as served:
        key = served.upload(clip.read_bytes())
        assert re.match(r"took longer than \d+ minutes", served.until(key, "failed")["error"])


def test_what_is_held_too_long_is_deleted(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    with serving(bundle, keep_seconds=0.5) as served:
        key = served.upload(png())
        end = time.monotonic() + WAIT_SECONDS
        while served.client.get(f"/jobs/{key}").status_code != 404 or served.files:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_too_many_uploads_are_refused_for_now(bundle):
    with serving(bundle, job_seconds=0.0) as served:
        for _ in range(8):
            served.upload(png())
        assert served.client.post("/uploads", content=png()).status_code == 503


@pytest.mark.parametrize(
    "path", ["/jobs/x", "/jobs/../../etc/passwd", "/jobs/x/overlay", "/jobs/%2e%2e/results"]
)
def test_names_lead_nowhere(served, path):
    assert served.client.get(path).status_code == 404


def test_names_of_files_beside_the_three_lead_nowhere(served):
    key = served.upload(png())
    served.until(key, "done", "failed")
    for name in ("upload.png", "results.jsonl", "..%2f..%2fetc%2fpasswd"):
        assert served.client.get(f"/jobs/{key}/{name}").status_code == 404
    served.client.post(f"/jobs/{key}/close")


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_another_sites_page_uploads_nothing(served, origin):
    assert served.client.post("/uploads", content=png(), headers={"Origin": origin}).status_code == 403


def test_everything_is_gone_with_the_server(bundle):
    with serving(bundle) as served:
        served.upload(png())
        root = served.jobs._root
        assert served.files
    assert not root.exists()


@pytest.mark.parametrize(
    ("head", "kind"),
    [(b"\x89PNG\r\n\x1a\n", ".png"), (b"\xff\xd8\xff\xe0", ".jpg"), (b"\x1aE\xdf\xa3", ".mkv"),
     (b"RIFF", None), (b"RIFF1234AVI ", ".avi"), (b"G" + bytes(187) + b"G", ".ts"),
     (b"G", None), (b"1234ftypqt  ", ".mp4")],
)  # fmt: skip
def test_kinds_are_told_by_the_first_bytes(head, kind):
    assert kind_of(head) == kind
