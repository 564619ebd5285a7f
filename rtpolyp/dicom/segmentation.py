"""The Segmentation object of a run: one segment for each track, a frame for each polyp that was outlined."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, VLEndoscopicImageStorage, generate_uid

from rtpolyp.dicom.origin import MAKER, PATIENT, STUDY, Origin

__all__ = ["SYNTAX", "Mask", "Network", "segmentation"]

SYNTAX = ExplicitVRLittleEndian
ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
POLYP = CodedConcept("41329004", "SCT", "Polyp")
NEURAL = CodedConcept("123109", "DCM", "Artificial Intelligence")
SERIES = 901
FRAME_NUMBER = 0x00209057  # InStackPositionNumber: of the frame in the source, which is the stack
FRAME_CONTENT = 0x00209111


class Mask(NamedTuple):
    """One frame of the object."""

    segment: int  # from 1
    frame: int  # of the source, from 1


class Network(NamedTuple):
    """What outlined the polyps."""

    name: str
    version: str


def segmentation(
    origin: Origin, size: tuple[int, int], segments: Sequence[str], masks: Sequence[Mask], network: Network
) -> Dataset:
    """The object without its pixels: `masks` in their order, each of `size` (width, height).

    `segments` are their labels. highdicom makes it of one empty frame for each segment, as of a still; then
    the frames are put in their place.
    """
    width, height = size
    made = Segmentation(
        [_as_still(origin, size)],
        np.zeros((1, height, width), np.uint8),
        SegmentationTypeValues.BINARY,
        [_described(number, label, network) for number, label in enumerate(segments, 1)],
        generate_uid(),
        SERIES,
        generate_uid(),
        1,
        MAKER,
        MAKER,
        network.version,
        "0",
        content_label="POLYPS",
        omit_empty_frames=False,
    )
    made.update(origin.common())
    del made.PixelData
    made.SeriesDescription = "Polyp outlines"
    made.ContentCreatorName = None
    _refer(made, origin)
    _place(made, masks, is_video=origin.source.is_video)
    plain = Dataset(made)  # without highdicom's own ways of writing
    origin.finish(plain)
    return plain


def _as_still(origin: Origin, size: tuple[int, int]) -> Dataset:
    """The source as a still picture of nobody.

    highdicom takes no multi-frame object without functional groups, and repeats names and dates of unusual
    forms in warnings and errors.
    """
    source, header = Dataset(), origin.source.header
    for keyword in (*PATIENT, *STUDY):
        setattr(source, keyword, None)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(source, keyword, header.get(keyword))
    source.SOPClassUID, source.Modality = VLEndoscopicImageStorage, "ES"
    source.Columns, source.Rows = size
    return source


def _described(number: int, label: str, network: Network) -> SegmentDescription:
    return SegmentDescription(
        number,
        label,
        ABNORMAL,
        POLYP,
        SegmentAlgorithmTypeValues.AUTOMATIC,
        AlgorithmIdentificationSequence(network.name, NEURAL, network.version),
        tracking_uid=generate_uid(),
        tracking_id=label,
    )


def _refer(made: Dataset, origin: Origin) -> None:
    """Name the source's own class where it is no still."""
    kind = UID(str(origin.source.header.SOPClassUID))
    items = [made.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0], made.SourceImageSequence[0]]
    for item in items:
        item.ReferencedSOPClassUID = kind
    for group in made.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPClassUID = kind


def _place(made: Dataset, masks: Sequence[Mask], *, is_video: bool) -> None:
    """Give the object a frame for each mask, indexed by segment and frame of the source."""
    index = copy.deepcopy(made.DimensionIndexSequence[0])
    index.DimensionIndexPointer, index.FunctionalGroupPointer = FRAME_NUMBER, FRAME_CONTENT
    index.DimensionDescriptionLabel = "Frame of the source"
    made.DimensionIndexSequence.append(index)
    shared = made.SharedFunctionalGroupsSequence[0]
    if "SegmentIdentificationSequence" in shared:  # where there is but one segment
        del shared.SegmentIdentificationSequence
    pattern = made.PerFrameFunctionalGroupsSequence[0]
    numbers = {frame: place for place, frame in enumerate(sorted({mask.frame for mask in masks}), 1)}
    groups = []
    for mask in masks:
        group = copy.deepcopy(pattern)
        identification = Dataset()
        identification.ReferencedSegmentNumber = mask.segment
        group.SegmentIdentificationSequence = [identification]
        content = group.FrameContentSequence[0]
        content.StackID, content.InStackPositionNumber = "1", mask.frame
        content.DimensionIndexValues = [mask.segment, numbers[mask.frame]]
        if is_video:
            group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = mask.frame
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = Items(groups)
    made.NumberOfFrames = len(masks)
