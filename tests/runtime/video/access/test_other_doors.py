"""Uploads, archives, DICOM objects and the JSON lines of strangers open nothing else, either."""

import contextlib
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate

from rtpolyp.batch.storage import find_videos
from rtpolyp.errors import InputError
from rtpolyp.report.writer import write_report
from rtpolyp.tryout.kinds import HEAD_BYTES, kind_of
from rtpolyp.video.source import open_source
from rtpolyp.video.video_file import VideoFile
from tests.runtime.clips import Clip, make_clip
from tests.runtime.dicom_files import save, stream
from tests.runtime.report.examinations import frame, polyp, write_lines
from tests.runtime.video.access.attacks import SOME, attacks
from tests.runtime.video.access.canaries import Canaries

HEADS = {  # with which an upload passes as a picture or a video
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff",
    "BMP": b"BM",
    "TIFF": b"II*\0",
    "WebP": b"RIFF\xff\0\0\0WEBP",
    "AVI": b"RIFF\xff\0\0\0AVI ",
    "Matroska": b"\x1aE\xdf\xa3",
    "MPEG": b"\0\0\1\xba",
    "MP4": b"\0\0\0\x10ftypisom\0\0\0\0",
    "TS": b"G" + bytes(187) + b"G",
}
FILES = {  # whole ones that name others, as they are
    "SVG": '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="{}"/></svg>',
    "SVG, bare": '<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{}"/></svg>',
    "HTML": '<html><video src="{}"></video></html>',
    "zip": "PK\x03\x04{}",
    "gzip": "\x1f\x8b\x08{}",
    "PostScript": "%!PS\n({}) run\n",
    "PDF": "%PDF-1.4\n<< /F ({}) >>\n",
    "MVG": "push graphic-context\nimage over 0,0 0,0 '{}'\n",
}


def read(path: Path) -> None:
    """As far as it goes."""
    with contextlib.suppress(InputError), open_source(path) as source:
        for _ in source:
            pass


def test_uploads_that_name_others_are_no_pictures_and_no_videos(canary: Canaries, folder: Path):
    texts = dict(attacks(canary, folder))
    texts |= {name: text.format(f"file://{canary.file}").encode() for name, text in FILES.items()}
    assert {name for name, data in texts.items() if kind_of(data[:HEAD_BYTES]) is not None} == set()


@pytest.mark.parametrize("head", HEADS)
def test_uploads_that_begin_as_what_they_are_not_open_nothing(canary: Canaries, folder: Path, head: str):
    touched = {}
    texts = dict(attacks(canary, folder, ("absolute", "file://", "http:")))
    texts |= {name: text.format(f"file://{canary.file}").encode() for name, text in FILES.items()}
    for attack, data in texts.items():
        upload = HEADS[head] + b"\n" + data + bytes(HEAD_BYTES)
        extension = kind_of(upload)
        assert extension is not None
        path = folder / f"upload{extension}"
        path.write_bytes(upload)
        read(path)
        if found := canary.touched():
            touched[attack] = found
    assert not touched


def external(clip: bytes, file: Path) -> bytes:
    """The MP4 `clip`, whose pictures lie in another file by what its box `dref` says.

    It does so by an alias record of the Macintosh with an absolute path. libav follows it where its option
    `enable_drefs` is set.
    """
    path = str(file).replace("/", ":").encode()
    body = bytes(4) + bytes(10) + bytes(1 + 27 + 12 + 1 + 63 + 16) + bytes(4 + 16)
    body += struct.pack(">HH", 2, len(path)) + path + bytes(len(path) % 2) + b"\xff\xff\0\0"
    entry = struct.pack(">I4s", 8 + len(body), b"alis") + body
    at, changed = 0, bytearray(clip)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        while clip[at + 4 : at + 8] != name:
            at += struct.unpack_from(">I", clip, at)[0]
        struct.pack_into(">I", changed, at, struct.unpack_from(">I", clip, at)[0] + len(entry) - 12)
        at += 8
    at += 8  # version and count of the entries
    assert clip[at + 4 : at + 8] == b"url "  # of 12 bytes: they lie in this file
    return bytes(changed[:at] + entry + changed[at + 12 :])


def test_an_mp4_whose_pictures_lie_elsewhere_opens_nothing(canary: Canaries, tmp_path: Path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=3)).read_bytes()
    (tmp_path / "upload.mp4").write_bytes(external(clip, canary.file))
    read(tmp_path / "upload.mp4")
    assert canary.touched() == []
    with av.open(str(tmp_path / "upload.mp4"), options={"enable_drefs": "1", "use_absolute_path": "1"}):
        assert canary.touched() == ["the file"]  # so it is an attack


def test_videos_of_an_archive_open_nothing(canary: Canaries, folder: Path):
    touched = {}
    (folder / "deeper").mkdir()
    (folder / "deeper" / "round").symlink_to(folder, target_is_directory=True)
    for number, (attack, data) in enumerate(
        attacks(canary, folder, ("relative", "link", "file://", "http:"))
    ):
        path = folder / "deeper" / f"{number}.mp4"
        path.write_bytes(data)
        with contextlib.suppress(InputError), VideoFile(path) as source:
            list(source)
        if found := canary.touched():
            touched[attack] = found
    assert not touched
    names = {video.name for video in find_videos([str(folder)])}
    assert {"good.ts", "link.ts", "deeper/0.mp4"} <= names  # no playlist; a link counts as what it leads to
    assert not [name for name in names if name.endswith(".m3u8")]
    assert canary.touched() == []


def dicom_attacks(canary: Canaries, folder: Path, path: Path) -> Iterator[tuple[str, Path]]:
    """Objects whose stream is a playlist, and some whose attributes name files and hosts."""
    for attack, data in attacks(canary, folder, SOME):
        found = dcmread(stream(path))
        found.PixelData = encapsulate([data + b"\n" * (len(data) % 2)])
        yield attack, save(found, path)
    found = dcmread(stream(path))
    found.PixelDataProviderURL = found.RetrieveURL = f"http://127.0.0.1:{canary.port}/a.ts"
    found.RetrieveURI = f"file://{canary.file}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a path is longer than the standard allows, and has other letters
        found.add_new(
            0x00041500, "CS", [str(canary.file).upper()]
        )  # of a DICOMDIR: the file that it refers to
    yield "references beside the stream", save(found, path)
    del found.PixelData
    yield "references in place of the stream", save(found, path)
    found.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.94"  # JPIP: the pixels lie at a URL
    yield "JPIP", save(found, path)


def test_dicom_objects_open_nothing(canary: Canaries, folder: Path):
    touched = {}
    for attack, path in dicom_attacks(canary, folder, folder / "IM0001"):
        with contextlib.suppress(InputError), open_source(path) as source:
            next(iter(source))
        if found := canary.touched():
            touched[attack] = found
    assert not touched


def test_a_report_about_a_strangers_results_opens_nothing_and_shows_text(
    canary: Canaries, good: Path, tmp_path: Path
):
    image = f'"><img src="http://127.0.0.1:{canary.port}/a"><script>1</script>'
    fields = ("source", "engine", "rtpolyp", "backend", "sha256", "settings", "crop", "drift", "video")
    page, written = tmp_path / "report.html", 0
    for planted in (str(canary.file), f"file://{canary.file}", image, {image: [image]}, [{"x": image}]):
        named = dict.fromkeys(fields, planted)
        lines = [frame(i, [polyp(1)], name=str(planted), video=planted) for i in range(10)]
        lines.append({"summary": named | {"times_ms": {str(planted): [[1, 2]]}, "remarks": [planted]}})
        results = write_lines(tmp_path / "out.jsonl", lines, **named)
        for video in (None, good):
            page.unlink(missing_ok=True)
            with contextlib.suppress(InputError):
                write_report(results, page, video=video)
            text = page.read_text() if page.exists() else ""
            written += bool(text)
            assert "<script" not in text
            assert 'src="http' not in text
            assert canary.touched() == []
    assert written == 10
