"""The Video Endoscopic object of a run: its H.264 stream with the overlay, as the source's derived image."""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import MPEG4HP41, MPEG4HP422D, UID, VideoEndoscopicImageStorage, generate_uid

from rtpolyp.dicom.origin import Origin
from rtpolyp.dicom.times import intervals_of

__all__ = ["Encoded", "level_of", "video_object"]

SERIES = 902
# Transfer syntax → its level of H.264, macroblocks a picture and a second (ITU-T H.264, table A-1).
LEVELS: tuple[tuple[UID, str, int, int], ...] = (
    (MPEG4HP41, "4.1", 8_192, 245_760),
    (MPEG4HP422D, "4.2", 8_704, 522_240),
)


class Encoded(NamedTuple):
    """The stream that becomes the pixels."""

    size: tuple[int, int]  # (width, height) in pixels
    seconds: Sequence[float]  # when each frame is shown
    length: int  # bytes
    syntax: UID


def level_of(size: tuple[int, int], rate: float) -> tuple[UID, str] | None:
    """The transfer syntax for pictures of `size` at `rate` a second, and its level; None beyond all."""
    blocks = -(-size[0] // 16) * -(-size[1] // 16)
    for syntax, level, picture, second in LEVELS:
        if blocks <= picture and blocks * rate <= second:
            return syntax, level
    return None


def video_object(origin: Origin, encoded: Encoded) -> Dataset:
    """The object without its pixels, complete by the IOD of Video Endoscopic Image Storage."""
    made = origin.common()
    made.SOPClassUID, made.SOPInstanceUID = VideoEndoscopicImageStorage, generate_uid()
    made.Modality = "ES"
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = generate_uid(), SERIES, 1
    made.SeriesDescription = "Endoscopy with polyp outlines"
    if "Laterality" not in made:
        made.Laterality = None
    origin.equip(made)
    now = datetime.datetime.now()
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.PatientOrientation = None
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.DerivationDescription = "polyps outlined by a neural network; research software"
    made.SourceImageSequence = [origin.reference()]
    made.AcquisitionContextSequence = []
    _describe_pixels(made, encoded)
    _describe_times(made, encoded.seconds)
    origin.finish(made)
    return made


def _describe_pixels(made: Dataset, encoded: Encoded) -> None:
    width, height = encoded.size
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "YBR_PARTIAL_420", 0
    made.Rows, made.Columns = height, width
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_14496_10"
    raw = width * height * 3 * len(encoded.seconds)
    made.LossyImageCompressionRatio = round(raw / max(1, encoded.length), 2)


def _describe_times(made: Dataset, seconds: Sequence[float]) -> None:
    made.NumberOfFrames = len(seconds)
    step, increments = intervals_of(seconds)
    if step is None:
        made.FrameTimeVector = increments
        made.FrameIncrementPointer = Tag("FrameTimeVector")
    else:
        made.FrameTime = round(step, 6)
        made.FrameIncrementPointer = Tag("FrameTime")
        made.CineRate = made.RecommendedDisplayFrameRate = max(1, round(1000 / step))
