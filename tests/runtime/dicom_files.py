"""DICOM objects of each class and transfer syntax that is read, made by pydicom, with a patient in them."""

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space

from tests.runtime.clips import Clip, make_clip
from tests.runtime.red_disc import disc

__all__ = ["PLANTED", "STREAMS", "header", "save", "still", "stream", "video"]

# What no output of a de-identified run may hold.
PLANTED = {
    "PatientName": "Zimtstern^Adelheid",
    "PatientID": "QX-77123",
    "PatientBirthDate": "19480229",
    "PatientAge": "077Y",
    "PatientComments": "lives at the old mill",
    "OtherPatientIDs": "OTHER-5521",
    "AccessionNumber": "ACC90210",
    "StudyDate": "20190717",
    "StudyTime": "081503",
    "SeriesDate": "20190718",
    "ContentDate": "20190719",
    "AcquisitionDateTime": "20190720112233",
    "StudyID": "STUDY-4711",
    "StudyDescription": "Koloskopie Zimtstern",
    "SeriesDescription": "Abteilung Nordfluegel",
    "ReferringPhysicianName": "Ueberweiser^Bruno",
    "PerformingPhysicianName": "Operateur^Clara",
    "OperatorsName": "Schwester^Dora",
    "InstitutionName": "Klinikum Weidenau",
    "InstitutionAddress": "Ulmenweg 12",
    "StationName": "TOWER-B7",
    "DeviceSerialNumber": "SN-0815-42",
    "ProtocolName": "Protokoll Erika",
    "ImageComments": "Zimtstern, zweiter Termin",
    "StudyInstanceUID": "1.2.276.0.7230010.3.1.2.111222333",
    "SeriesInstanceUID": "1.2.276.0.7230010.3.1.3.444555666",
    "SOPInstanceUID": "1.2.276.0.7230010.3.1.4.777888999",
    "FrameOfReferenceUID": "1.2.276.0.7230010.3.1.5.121212121",
}
NESTED, PRIVATE = "Nestling^Emil", "privatgeheim"
# A container for each stream of video, its codec, and the syntax that carries it.
STREAMS: dict[str, tuple[str, str]] = {
    "MPEG2MPML": (".ts", "mpeg2video"),
    "MPEG2MPHL": (".m2v", "mpeg2video"),
    "MPEG4HP41": (".mp4", "libx264"),
    "MPEG4HP422D": (".ts", "libx264"),
    "MPEG4HP41BD": (".h264", "libx264"),
    "HEVCMP51": (".mp4", "libx265"),
    "HEVCM10P51": (".hevc", "libx265"),
}


def header(kind: str, syntax: str, size: tuple[int, int], colour: str) -> Dataset:
    """The header of an object `size` (width, height) with PLANTED, a nested name and a private one."""
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = syntax
    found.SpecificCharacterSet = "ISO_IR 192"
    found.SOPClassUID = getattr(uid, kind)
    for keyword, value in PLANTED.items():
        setattr(found, keyword, value)
    found.PatientSex = "F"
    found.Modality = "ES"
    found.Manufacturer = "Maker"
    found.ImageType = ["ORIGINAL", "PRIMARY"]
    found.SeriesNumber, found.InstanceNumber = 3, 7
    nested = Dataset()
    nested.PatientName, nested.RequestedProcedureDescription = NESTED, NESTED
    found.RequestAttributesSequence = [nested]
    found.AcquisitionContextSequence = []
    found.private_block(0x0099, "MAKER", create=True).add_new(0x01, "LO", PRIVATE)
    found.SamplesPerPixel = 1 if colour == "MONOCHROME2" else 3
    if found.SamplesPerPixel == 3:
        found.PlanarConfiguration = 0
    found.PhotometricInterpretation = colour
    found.Columns, found.Rows = size
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 8, 8, 7, 0
    found.LossyImageCompression = "00"
    return found


def save(found: Dataset, path: Path) -> Path:
    """Write the object with its preamble."""
    found.save_as(path, enforce_file_format=True)
    return path


def still(
    path: Path,
    bgr: NDArray[np.uint8],
    syntax: str = uid.ExplicitVRLittleEndian,
    colour: str = "RGB",
    **more: object,
) -> Path:
    """A VL Endoscopic image of `(H, W, 3) uint8 BGR`; `more` are attributes."""
    found = header("VLEndoscopicImageStorage", syntax, (bgr.shape[1], bgr.shape[0]), colour)
    _set_pixels(found, [bgr])
    for keyword, value in more.items():
        setattr(found, keyword, value)
    return save(found, path)


def video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    syntax: str = uid.JPEGBaseline8Bit,
    colour: str = "YBR_FULL_422",
    **more: object,
) -> Path:
    """A Video Endoscopic object whose frames are encoded one by one."""
    height, width = pictures[0].shape[:2]
    found = header("VideoEndoscopicImageStorage", syntax, (width, height), colour)
    found.NumberOfFrames = len(pictures)
    found.FrameIncrementPointer = 0x00181063
    found.FrameTime = 40
    _set_pixels(found, pictures)
    for keyword, value in more.items():
        setattr(found, keyword, value)
    return save(found, path)


def stream(path: Path, name: str = "MPEG4HP41", clip: Clip | None = None, draw=disc, **more: object) -> Path:
    """A Video Endoscopic object of one of STREAMS."""
    suffix, codec = STREAMS[name]
    clip = clip or Clip(frames=10)
    options = {"preset": "ultrafast", "crf": "12"} if codec != "mpeg2video" else {"b": "4000000"}
    deep = "10" if name == "HEVCM10P51" else ""
    base = 1 / clip.rate if codec == "mpeg2video" else clip.time_base
    made = Clip(**{**vars(clip), "codec": codec, "options": options, "time_base": base})
    if deep:
        made = Clip(**{**vars(made), "pixel_format": "yuv420p10le"})
    content = make_clip(path.with_name(f"{path.name}{suffix}"), made, draw).read_bytes()
    found = header("VideoEndoscopicImageStorage", getattr(uid, name), clip.size, "YBR_PARTIAL_420")
    found.NumberOfFrames = clip.frames
    found.FrameIncrementPointer = 0x00181063
    found.FrameTime = round(float(1000 / clip.rate), 6)
    if deep:
        found.BitsAllocated, found.BitsStored, found.HighBit = 16, 10, 9
    for keyword, value in more.items():
        setattr(found, keyword, value)
    found.PixelData = encapsulate([content + b"\0" * (len(content) % 2)])
    found["PixelData"].is_undefined_length = True
    return save(found, path)


def _set_pixels(found: Dataset, pictures: Sequence[NDArray[np.uint8]]) -> None:
    syntax, colour = found.file_meta.TransferSyntaxUID, found.PhotometricInterpretation
    if not syntax.is_encapsulated:
        content = b"".join(_raw(bgr, colour) for bgr in pictures)
        found.PixelData = content + b"\0" * (len(content) % 2)
        found["PixelData"].VR = "OB"
    elif syntax == uid.RLELossless:
        frames = np.stack([_raw_array(bgr, colour) for bgr in pictures])
        found.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        found.PixelData = frames.tobytes()
        found.compress(uid.RLELossless, generate_instance_uid=False)
    else:
        found.PixelData = encapsulate([_coded(bgr, syntax, colour) for bgr in pictures])
        found["PixelData"].is_undefined_length = True


def _raw_array(bgr: NDArray[np.uint8], colour: str) -> NDArray[np.uint8]:
    if colour == "MONOCHROME2":
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    rgb = np.ascontiguousarray(bgr[:, :, ::-1])
    return rgb if colour == "RGB" else convert_color_space(rgb, "RGB", "YBR_FULL")


def _raw(bgr: NDArray[np.uint8], colour: str) -> bytes:
    samples = _raw_array(bgr, colour)
    if colour != "YBR_FULL_422":
        return samples.tobytes()
    luma = samples[:, :, 0].reshape(-1, 2)
    chroma = samples[:, ::2, 1:].reshape(-1, 2)
    return np.concatenate([luma, chroma], axis=1).tobytes()  # Y Y Cb Cr


def _coded(bgr: NDArray[np.uint8], syntax: str, colour: str) -> bytes:
    samples = _raw_array(bgr, "RGB" if colour != "MONOCHROME2" else colour)
    image, buffer = Image.fromarray(samples), io.BytesIO()
    if syntax in (uid.JPEG2000Lossless, uid.JPEG2000):
        image.save(buffer, "JPEG2000", irreversible=False, mct=1, no_jp2=True)
    elif colour == "RGB":
        image.save(buffer, "JPEG", quality=97, subsampling=0, keep_rgb=True)
    else:
        image.save(buffer, "JPEG", quality=97, subsampling=1)
    content = buffer.getvalue()
    return content + b"\0" * (len(content) % 2)
