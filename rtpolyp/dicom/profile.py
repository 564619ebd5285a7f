"""De-identification by the Basic Application Confidentiality Profile of DICOM PS3.15, Annex E.

Which attribute is removed, emptied or replaced is the table of dicom-anonymizer, made from the standard's
own; what it leaves open (X/Z, Z/D …) is decided here by what the two objects that are written need.
"""

import hashlib

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

__all__ = ["deidentify"]

METHOD = "DICOM PS3.15 Annex E, Basic Application Confidentiality Profile"
REMOVED = frozenset((*table.X_TAGS, *table.X_D_TAGS, *table.X_Z_TAGS, *table.X_Z_D_TAGS))
EMPTIED = frozenset((*table.Z_TAGS, *table.Z_D_TAGS))
REPLACED = frozenset(table.D_TAGS)
UIDS = frozenset(table.U_TAGS)
# Attributes that the objects must hold, with a value or without one.
NEEDED = {"ContentDate": "19000101", "ContentTime": "000000", "DeviceSerialNumber": "0"}
NEEDED_EMPTY = ("AcquisitionContextSequence",)
DUMMY = "REMOVED"


def deidentify(dataset: Dataset, salt: bytes) -> None:
    """Apply the profile to an object, in place, in all its sequences; private attributes go.

    Each UID of an instance becomes another, the same in all objects of the same `salt`, which nobody keeps.
    """
    _clean(dataset, salt, set())
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.DeidentificationMethodCodeSequence = [code]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"


def _clean(dataset: Dataset, salt: bytes, done: set[int]) -> None:
    """Apply the table to a dataset and its items; an item that stands in two sequences is in `done` once."""
    if id(dataset) in done:
        return
    done.add(id(dataset))
    for element in list(dataset):
        tag = (element.tag.group, element.tag.element)
        if element.tag.is_private:
            del dataset[element.tag]
        elif element.keyword in NEEDED:
            element.value = NEEDED[element.keyword]
        elif element.keyword in NEEDED_EMPTY or tag in EMPTIED:
            element.value = Sequence() if element.VR == "SQ" else None
        elif tag in REMOVED or _in_group(element):
            del dataset[element.tag]
        elif tag in REPLACED:
            _replace(dataset, element)
        elif tag in UIDS:
            element.value = _other_uid(str(element.value), salt)
        elif element.VR == "SQ":
            for item in element.value:
                _clean(item, salt, done)


def _in_group(element: DataElement) -> bool:
    """Whether the table removes a whole repeating group that the attribute is of: curves, overlays."""
    group, number = element.tag.group, element.tag.element
    return any(
        group & mask[0] == tag[0] and number & mask[1] == tag[1]
        for tag, mask in ((entry[:2], entry[2:]) for entry in table.X_TAGS if len(entry) == 4)
    )


def _replace(dataset: Dataset, element: DataElement) -> None:
    """A dummy where one can be made of text; else the attribute goes, since neither object needs it."""
    if element.VR in ("CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"):
        element.value = DUMMY
    elif element.VR == "UI":
        element.value = generate_uid()
    else:
        del dataset[element.tag]


def _other_uid(value: str, salt: bytes) -> str:
    return generate_uid(entropy_srcs=[hashlib.sha256(salt + value.encode()).hexdigest()])
