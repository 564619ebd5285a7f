"""DICOM objects of an endoscope, a still and several videos, as bytes."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from scripts.fuzz.whole_files import FRAMES, SIZE, clip

__all__ = ["dicom_objects"]


def dicom_objects() -> list[bytes]:
    """A raw still and raw, RLE, JPEG, JPEG 2000 and H.264 videos."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    frames = [np.stack([3 * x, 5 * y, 2 * (x + y + n)], axis=-1).astype(np.uint8) for n in range(FRAMES)]
    runs = _raw(frames)
    runs.compress(uid.RLELossless, generate_instance_uid=False)
    made = [_raw(frames[:1]), _raw(frames), runs]
    made += [
        _encapsulated([_picture(frame, "JPEG") for frame in frames], uid.JPEGBaseline8Bit, "YBR_FULL_422"),
        _encapsulated([_picture(frame, "JPEG2000") for frame in frames], uid.JPEG2000, "YBR_RCT"),
        _encapsulated([clip(".h264")], uid.MPEG4HP41, "YBR_PARTIAL_420"),
    ]
    return [_bytes(one) for one in made]


def _header(syntax: uid.UID, colour: str, frames: int) -> Dataset:
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = syntax
    kind = "VideoEndoscopicImageStorage" if frames > 1 else "VLEndoscopicImageStorage"
    found.SOPClassUID, found.SOPInstanceUID = getattr(uid, kind), "1.2.3.4"
    found.PatientName, found.PatientID, found.Modality = "Planted^Name", "P1", "ES"
    found.Columns, found.Rows = SIZE
    found.SamplesPerPixel, found.PlanarConfiguration, found.PhotometricInterpretation = 3, 0, colour
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 8, 8, 7, 0
    if frames > 1:
        found.NumberOfFrames, found.FrameTime, found.FrameIncrementPointer = frames, 40, 0x00181063
    return found


def _raw(frames: list[NDArray[np.uint8]]) -> Dataset:
    found = _header(uid.ExplicitVRLittleEndian, "RGB", len(frames))
    found.PixelData = b"".join(frame.tobytes() for frame in frames)
    found["PixelData"].VR = "OB"
    return found


def _encapsulated(items: list[bytes], syntax: uid.UID, colour: str) -> Dataset:
    found = _header(syntax, colour, FRAMES)
    found.PixelData = encapsulate([item + b"\0" * (len(item) % 2) for item in items])
    found["PixelData"].is_undefined_length = True
    return found


def _picture(rgb: NDArray[np.uint8], kind: str) -> bytes:
    buffer = io.BytesIO()
    options = {"no_jp2": True, "irreversible": False, "mct": 1} if kind == "JPEG2000" else {"quality": 90}
    Image.fromarray(rgb).save(buffer, kind, **options)
    return buffer.getvalue()


def _bytes(found: Dataset) -> bytes:
    buffer = io.BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
