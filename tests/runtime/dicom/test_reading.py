"""DICOM files are read whatever their name, in each transfer syntax and colour, within bounds."""

from pathlib import Path
from struct import pack

import cv2
import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder

from rtpolyp.dicom.magic import is_dicom
from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import read_image, read_pixels
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.source import open_live, open_source
from tests.runtime.clips import code_of, picture
from tests.runtime.dicom_files import PLANTED, header, save, still, stream, video

BGR = picture(5)
EXACT, ROUNDED, CODED = 0, 0.4, 0.8  # mean levels: as stored; YCbCr in 8 bits, its chroma halved; JPEG
STILLS = [
    ("ImplicitVRLittleEndian", "RGB", EXACT),
    ("ExplicitVRLittleEndian", "RGB", EXACT),
    ("ExplicitVRLittleEndian", "YBR_FULL", ROUNDED),
    ("ExplicitVRLittleEndian", "YBR_FULL_422", ROUNDED),
    ("ExplicitVRLittleEndian", "MONOCHROME2", EXACT),
    ("RLELossless", "RGB", EXACT),
    ("JPEGBaseline8Bit", "RGB", CODED),
    ("JPEGBaseline8Bit", "YBR_FULL_422", CODED),
    ("JPEGBaseline8Bit", "MONOCHROME2", CODED),
    ("JPEGExtended12Bit", "YBR_FULL_422", CODED),
    ("JPEG2000Lossless", "YBR_RCT", EXACT),
    ("JPEG2000", "YBR_ICT", EXACT),
]
CHANGES = {
    "no pixels": "no pixels in it",
    "cut": "are needed; it was cut",
    "cut fragment": "of its pixels is missing|its pixels end",
    "other class": "CT Image Storage is not read",
    "unknown class": "an object of unknown class",
    "16 bits": "16 bits a sample, 16 of them used",
    "palette": "PALETTECOLOR|unknown colours are not read",
    "inverted": "MONOCHROME1 are not read",
    "deflated": "Deflated Explicit VR Little Endian is not read",
    "big endian": "Explicit VR Big Endian is not read",
    "lossless JPEG": "JPEG Lossless.*is not read",
    "stereo": "Stereo.*is not read",
    "no syntax": "an unknown transfer syntax",
    "no size": "its Rows is missing or cannot be used",
    "wrong size": "a frame of 160x128 pixels in an object of 64x64",
    "many frames": "an image of 2 frames",
    "video syntax": "an image encoded as MPEG-4",
    "long header": "its header has more than the 2,097,152 bytes",
    "nested": "nested too deeply",
}


@pytest.mark.parametrize(("syntax", "colour", "tolerance"), STILLS)
def test_stills_have_their_colours(syntax, colour, tolerance, tmp_path):
    path = still(tmp_path / "1.2.840.99.7", BGR, getattr(uid, syntax), colour)
    expected = cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY) if colour == "MONOCHROME2" else BGR
    found = read_pixels(path)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() <= tolerance


def test_a_grey_still_is_refused_as_every_grey_picture_is(tmp_path):
    path = still(tmp_path / "grey.dcm", BGR, colour="MONOCHROME2")
    with pytest.raises(InputError, match="a grey image, but the network needs colour"):
        read_image(path)


def changed(change: str, path: Path) -> Path:
    """A still with one thing wrong."""
    if change == "nested":
        depth = 3000
        endless = pack("<I", 0xFFFFFFFF)
        start = b"\x40\x00\x55\x05SQ\0\0" + endless + b"\xfe\xff\x00\xe0" + endless
        whole = still(path, BGR).read_bytes()
        at = whole.index(b"\x40\x00\x55\x05")
        path.write_bytes(whole[:at] + start * depth + whole[at:])
        return path
    syntax = {"wrong size": uid.JPEGBaseline8Bit, "cut fragment": uid.JPEGBaseline8Bit}.get(change)
    found = dcmread(still(path, BGR, syntax or uid.ExplicitVRLittleEndian))
    meta = found.file_meta
    if change == "no pixels":
        del found.PixelData
    elif change == "other class":
        found.SOPClassUID = uid.CTImageStorage
    elif change == "unknown class":
        found.SOPClassUID = "1.2.3.4"
    elif change == "16 bits":
        found.BitsAllocated, found.BitsStored, found.HighBit = 16, 16, 15
    elif change == "palette":
        found.PhotometricInterpretation, found.SamplesPerPixel = "PALETTE COLOR", 1
    elif change == "inverted":
        found.PhotometricInterpretation, found.SamplesPerPixel = "MONOCHROME1", 1
    elif change == "no size":
        del found.Rows
    elif change == "wrong size":
        found.Rows = found.Columns = 64
    elif change == "many frames":
        found.NumberOfFrames, found.PixelData = 2, found.PixelData * 2
    elif change == "long header":
        found.EncapsulatedDocument = b"x" * (3 << 20)
    save(found, path)
    named = {
        "deflated": uid.DeflatedExplicitVRLittleEndian,
        "big endian": uid.ExplicitVRBigEndian,
        "lossless JPEG": uid.JPEGLossless,
        "stereo": uid.MPEG4HP42STEREO,
        "no syntax": "1.2.3.4",
        "video syntax": uid.MPEG4HP41,
    }.get(change)
    content = path.read_bytes()
    if named is not None:
        old = str(meta.TransferSyntaxUID).encode()
        old += b"\0" * (len(old) % 2)
        new = named.encode() + b"\0" * (len(named) % 2)
        head = b"\x02\x00\x10\x00UI"
        content = content.replace(head + pack("<H", len(old)) + old, head + pack("<H", len(new)) + new)
        if change == "video syntax":
            at = content.index(b"\xe0\x7f\x10\x00")
            content = content[: at + 8] + pack("<I", 0xFFFFFFFF) + encapsulate([b"12"])
    if change.startswith("cut"):
        content = content[:-5000]
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("change", CHANGES)
def test_what_cannot_be_read_is_refused_by_name(change, tmp_path, recwarn, caplog):
    path = changed(change, tmp_path / "bad.dcm")
    with pytest.raises(InputError, match=CHANGES[change]) as caught:
        for _ in open_source(path):
            pass
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    said = line + caplog.text + "".join(str(warning.message) for warning in recwarn)
    assert not [value for value in PLANTED.values() if value in said]


def test_pictures_are_refused_by_their_declared_size(tmp_path):
    options = InputOptions(max_pixels=10_000)
    for path in (still(tmp_path / "a", BGR), stream(tmp_path / "b"), video(tmp_path / "c", [BGR, BGR])):
        with pytest.raises(InputError, match="declares 160x128 pixels, and 10,000 are allowed"):
            list(open_source(path, options=options))


def test_jpeg_2000_without_a_decoder(tmp_path, monkeypatch):
    path = still(tmp_path / "a", BGR, uid.JPEG2000Lossless, "YBR_RCT")
    monkeypatch.setattr(Decoder, "is_available", False)
    with pytest.raises(InputError, match=r"no decoder of JPEG 2000 .* is installed"):
        read_image(path)


def test_without_the_extra_one_line_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr("rtpolyp.dicom.magic.LIBRARIES", ("no_such_library",))
    for path in (still(tmp_path / "a", BGR), video(tmp_path / "b", [BGR])):
        with pytest.raises(InputError, match=r"pip install 'rtpolyp\[dicom\]'"):
            open_source(path)


def test_only_regular_files_are_looked_into(tmp_path):
    (tmp_path / "short").write_bytes(b"DICM")
    assert not is_dicom(tmp_path / "short")
    assert not is_dicom(tmp_path)
    assert not is_dicom(tmp_path / "missing")
    assert is_dicom(still(tmp_path / "any name.txt", BGR))


def test_a_folder_holds_objects_without_extension(tmp_path):
    for number in (2, 10):
        still(tmp_path / f"1.2.840.1.{number}", picture(number))
    video(tmp_path / "clip", [BGR, BGR])
    still(tmp_path / "DICOMDIR", BGR)
    with open_source(tmp_path) as source:
        frames = list(source)
        assert [line.split(": ")[1] for line in source.skipped] == [
            "is a video of 2 frames; give it alone, or save its frames"
        ]
    assert [(frame.name, code_of(frame.to_bgr())) for frame in frames] == [
        ("1.2.840.1.2", 2),
        ("1.2.840.1.10", 10),
    ]


def test_a_table_of_files_is_refused_by_its_name(tmp_path):
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    found.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    found.DirectoryRecordSequence = []
    with pytest.raises(InputError, match="Media Storage Directory Storage is not read"):
        open_source(save(found, tmp_path / "DICOMDIR"))


def test_an_object_is_not_played_live(tmp_path):
    with pytest.raises(InputError, match="a DICOM object is read frame by frame"):
        open_live(still(tmp_path / "a", BGR))


def test_a_header_of_nothing_but_its_class(tmp_path):
    found = Dataset()
    found.file_meta = header("VLEndoscopicImageStorage", uid.ExplicitVRLittleEndian, (8, 8), "RGB").file_meta
    found.SOPClassUID, found.SOPInstanceUID = uid.VLEndoscopicImageStorage, "1.2.3"
    found.PixelData = b"12"
    found["PixelData"].VR = "OB"
    with pytest.raises(InputError, match="its Columns is missing"):
        read_image(save(found, tmp_path / "a"))
