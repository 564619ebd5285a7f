"""Headers of DICOM files, read and checked before anything of the picture is.

A stranger may have made the file: a header of more than 2 MiB is refused unread, values are taken one by one
and checked, and no message repeats one that could name a patient.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import JPEG2000 as JPEG2000Lossy
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
    VideoEndoscopicImageStorage,
    VLEndoscopicImageStorage,
)

from rtpolyp.errors import InputError, RtpolypError

__all__ = ["NATIVE", "SINGLE_CODECS", "BadValue", "DicomFile", "number", "quiet", "read_header"]

for library in ("pydicom", "highdicom"):  # they repeat values; what matters of a file is raised here by name
    warnings.filterwarnings("ignore", module=rf"{library}\.")
    logging.getLogger(library).setLevel(logging.CRITICAL)

MOST_HEADER_BYTES = 2 << 20  # an hour of FrameTimeVector takes 0.6 MiB, a colour profile as much
MOST_FRAMES = 1 << 19  # nearly five hours at 30 frames/s
META_AT = 132  # bytes: behind preamble and magic
PIXEL_DATA = 0x7FE00010
OTHER_PIXELS = (0x7FE00008, 0x7FE00009)  # of float and of double
PIXEL_DATA_BYTES = b"\xe0\x7f\x10\x00"
UNDEFINED = 0xFFFFFFFF  # a length: the value is encapsulated
LONG_VR = 12, 8  # bytes of an element's head, with an explicit VR of long values and with none

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
SINGLE_CODECS = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000Lossless, JPEG2000Lossy)
SINGLE = (*NATIVE, RLELossless, *SINGLE_CODECS)  # frame by frame
STREAMS = tuple(
    UID(f"1.2.840.10008.1.2.4.{number}{fragmentable}")
    for number in (100, 101, 102, 103, 104, 107, 108)  # MPEG-2, H.264, HEVC; 105 and 106 are stereo
    for fragmentable in ("", ".1")
)
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "MONOCHROME2")
STREAM_COLOURS = (*COLOURS, "YBR_PARTIAL_420")


class BadValue(ValueError):
    """An attribute, named by its keyword, is missing or says nothing that can be used."""


@dataclass(frozen=True, eq=False)
class DicomFile:
    """An object's header, checked, and where its pixels lie."""

    path: Path
    header: Dataset  # what stands before the pixels; its file_meta is not kept
    syntax: UID  # the transfer syntax
    size: tuple[int, int]  # (width, height) that the header states
    frames: int
    pixels_at: int  # bytes from the file's beginning to the pixels' value
    pixel_bytes: int | None  # None where the value is encapsulated

    @property
    def is_video(self) -> bool:
        """Whether its pictures follow each other in time."""
        return bool(self.header.SOPClassUID == VideoEndoscopicImageStorage)

    @property
    def is_stream(self) -> bool:
        """Whether its pictures are one stream of a video codec, and not one by one."""
        return self.syntax in STREAMS


def read_header(path: Path, *, max_pixels: int) -> DicomFile:
    """Read a DICOM file's header and check that its pictures can be read.

    Raises InputError for what is cut or broken, for objects that are no endoscope's, and, by name, for
    transfer syntaxes, colours and depths that are not read, and pictures of more than `max_pixels`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(MOST_HEADER_BYTES)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); check the path and its rights") from exc
    with quiet(path):
        buffer = io.BytesIO(head)
        buffer.seek(META_AT)
        meta = read_dataset(buffer, False, True, stop_when=lambda tag, vr, length: tag.group > 2)
        syntax = UID(str(meta.get("TransferSyntaxUID", "")))
        _check_syntax(path, syntax)
        header = read_dataset(buffer, syntax.is_implicit_VR, True, stop_when=_is_pixels)
        at = buffer.tell()
        _check_object(path, meta, header)
        element = head[at : at + LONG_VR[syntax.is_implicit_VR]]
        _check_element(path, element, is_whole=len(head) < MOST_HEADER_BYTES)
        length = int.from_bytes(element[-4:], "little")
        frames = number(header, "NumberOfFrames", least=1, most=MOST_FRAMES, absent=1)
        size = (number(header, "Columns", most=65_535), number(header, "Rows", most=65_535))
        found = DicomFile(
            path, header, syntax, size, frames, at + len(element), None if length == UNDEFINED else length
        )
        _check_pixels(found, max_pixels)
        return found


@contextmanager
def quiet(path: Path, problem: str = "a broken DICOM file") -> Iterator[None]:
    """Turn whatever pydicom raises on foreign bytes and values into an InputError without them."""
    try:
        with disable_value_validation():  # its warnings would repeat values
            yield
    except RtpolypError:
        raise
    except BadValue as exc:
        raise InputError(f"{path}: its {exc} is missing or cannot be used; export it again") from None
    except RecursionError:
        raise InputError(f"{path}: its sequences are nested too deeply; export it again") from None
    except MemoryError:
        raise InputError(f"{path}: asks for more memory than there is; export it again") from None
    except Exception as exc:  # a parser raises anything: struct.error, KeyError, EOFError …
        if isinstance(exc, OSError) and exc.errno is not None:  # of the system, and no parser's
            raise
        raise InputError(f"{path}: {problem} ({type(exc).__name__}); copy or export it again") from None


def number(header: Dataset, keyword: str, *, least: int = 1, most: int, absent: int | None = None) -> int:
    """A whole number of the header; raises BadValue, which `quiet` reports, for any other value."""
    value = header.get(keyword)
    if value is None and absent is not None:
        return absent
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        raise BadValue(keyword) from None
    if not least <= found <= most:
        raise BadValue(keyword)
    return found


def _is_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag == PIXEL_DATA or tag in OTHER_PIXELS


def _check_syntax(path: Path, syntax: UID) -> None:
    if syntax not in (*SINGLE, *STREAMS):
        known = syntax.name if syntax.is_transfer_syntax else "an unknown transfer syntax"
        raise InputError(
            f"{path}: {known} is not read; convert it to Explicit VR Little Endian, JPEG Baseline or H.264"
        )


def _check_element(path: Path, element: bytes, *, is_whole: bool) -> None:
    """Raise InputError unless `element` is the beginning of the pixels."""
    if element[:4] == PIXEL_DATA_BYTES and len(element) >= min(LONG_VR):
        return
    if element:
        raise InputError(f"{path}: its pixels are floating-point numbers; export it with 8 bits")
    if is_whole:
        raise InputError(f"{path}: no pixels in it, or cut before them; export it again")
    raise InputError(
        f"{path}: its header has more than the {MOST_HEADER_BYTES:,} bytes allowed; remove private data"
    )


def _check_object(path: Path, meta: Dataset, header: Dataset) -> None:
    kind = UID(str(header.get("SOPClassUID", "")))
    if kind not in (VLEndoscopicImageStorage, VideoEndoscopicImageStorage):
        kind = kind or UID(str(meta.get("MediaStorageSOPClassUID", "")))  # DICOMDIR has no other
        known = kind.name if kind != kind.name else "an object of unknown class"
        raise InputError(f"{path}: {known} is not read; give VL Endoscopic or Video Endoscopic Image Storage")


def _check_pixels(found: DicomFile, max_pixels: int) -> None:
    path, header, (width, height) = found.path, found.header, found.size
    if width * height > max_pixels:
        raise InputError(
            f"{path}: declares {width}x{height} pixels, and {max_pixels:,} are allowed; scale it down"
        )
    colour = str(header.get("PhotometricInterpretation", ""))
    samples = 1 if colour == "MONOCHROME2" else 3
    if colour not in (STREAM_COLOURS if found.is_stream else COLOURS):
        name = colour if colour.replace("_", "").isalnum() and len(colour) <= 16 else "unknown colours"
        raise InputError(f"{path}: pixels of the kind {name} are not read; export it as RGB or YBR_FULL_422")
    if not found.is_stream:
        bits = number(header, "BitsAllocated", most=64)
        stored = number(header, "BitsStored", most=64)
        if (bits, stored) != (8, 8):
            raise InputError(
                f"{path}: {bits} bits a sample, {stored} of them used, are not read; export it with 8 bits"
            )
        if number(header, "SamplesPerPixel", most=4) != samples:
            raise InputError(
                f"{path}: {colour} with another number of samples than {samples}; export it again"
            )
    if found.frames > 1 and not found.is_video:
        raise InputError(f"{path}: an image of {found.frames} frames; save each as a file of its own")
    if (found.pixel_bytes is None) == (found.syntax in NATIVE):
        raise InputError(f"{path}: its pixels are not encoded as its transfer syntax says; export it again")
    if found.pixel_bytes is not None:
        _check_length(found, samples)


def _check_length(found: DicomFile, samples: int) -> None:
    """Raise InputError where raw pixels are not as many as the header says, or not in the file."""
    half = str(found.header.PhotometricInterpretation) == "YBR_FULL_422"
    width, height = found.size
    expected = width * height * (2 if half else samples) * found.frames
    there = found.path.stat().st_size - found.pixels_at
    if found.pixel_bytes is None or found.pixel_bytes not in (expected, expected + 1) or there < expected:
        raise InputError(
            f"{found.path}: {there:,} bytes of pixels, and {expected:,} are needed; it was cut, copy it again"
        )
