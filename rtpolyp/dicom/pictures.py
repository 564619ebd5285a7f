"""Pictures of DICOM objects whose frames are encoded one by one: raw, run-length encoded, JPEG, JPEG 2000."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from rtpolyp.dicom.fragments import Fragment, find_frames
from rtpolyp.dicom.header import NATIVE, SINGLE_CODECS, DicomFile, quiet, read_header
from rtpolyp.errors import InputError

__all__ = ["frames_of", "read_still"]


def read_still(path: Path, *, max_pixels: int) -> NDArray[np.uint8]:
    """The picture of a VL Endoscopic image: `(H, W, 3) uint8 BGR`, or grey `(H, W)` of MONOCHROME2.

    Raises InputError as `read_header` does, and for a video.
    """
    found = read_header(path, max_pixels=max_pixels)
    if found.is_video:
        raise InputError(f"{path}: is a video of {found.frames} frames; give it alone, or save its frames")
    if found.is_stream:
        raise InputError(f"{path}: an image encoded as {found.syntax.name}; export it as JPEG or raw")
    return next(frames_of(found))


def frames_of(found: DicomFile) -> Iterator[NDArray[np.uint8]]:
    """Decode the frames one by one, as `read_still` gives them.

    Raises InputError where the syntax has no decoder here, and for a frame that is broken or larger than the
    header says, before it is decoded.
    """
    decoder = get_decoder(found.syntax)
    if not decoder.is_available:
        raise InputError(
            f"{found.path}: no decoder of {found.syntax.name} is installed; convert it to Explicit VR Little "
            "Endian or JPEG Baseline"
        )
    header = found.header
    options: dict[str, Any] = {
        "transfer_syntax_uid": found.syntax,
        "rows": found.size[1],
        "columns": found.size[0],
        "number_of_frames": 1,
        "samples_per_pixel": int(header.SamplesPerPixel),
        "photometric_interpretation": str(header.PhotometricInterpretation),
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_representation": 0,
        "pixel_keyword": "PixelData",
        "planar_configuration": int(header.get("PlanarConfiguration", 0) or 0),
    }
    for encoded in _encoded(found):
        with quiet(found.path):
            pixels, _ = decoder.as_array(encoded, index=0, **options)
            pixels = np.asarray(pixels, np.uint8)
        yield pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, ::-1])


def _encoded(found: DicomFile) -> Iterator[bytes]:
    """Each frame's bytes, encapsulated anew where they were."""
    if found.syntax in NATIVE:
        assert found.pixel_bytes is not None
        length = found.pixel_bytes // found.frames
        pieces = [[Fragment(found.pixels_at + n * length, length)] for n in range(found.frames)]
    else:
        pieces = find_frames(found)
    with found.path.open("rb") as file:
        for fragments in pieces:
            parts = []
            for fragment in fragments:
                file.seek(fragment.at)
                parts.append(file.read(fragment.length))
            frame = b"".join(parts)
            if found.syntax in NATIVE:
                yield frame
                continue
            if found.syntax in SINGLE_CODECS:
                _check_declared(found, frame)
            yield encapsulate([frame])


def _check_declared(found: DicomFile, frame: bytes) -> None:
    """Raise InputError where a JPEG's own header is not of the size that the object's states."""
    with quiet(found.path), Image.open(BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
        size, mode = image.size, image.mode
    if size != found.size:
        raise InputError(
            f"{found.path}: a frame of {size[0]}x{size[1]} pixels in an object of "
            f"{found.size[0]}x{found.size[1]}; export it again"
        )
    if mode not in ("L", "RGB"):
        raise InputError(f"{found.path}: a frame with pixels of the kind {mode}; export it with 8 bits")
