"""Origin: what the objects that a run writes take from the DICOM object that it reads."""

import secrets
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from rtpolyp.dicom.header import DicomFile, read_header
from rtpolyp.dicom.profile import deidentify

__all__ = ["MAKER", "PATIENT", "STUDY", "Origin", "code_item"]

MAKER = "rtpolyp"
# The attributes that are copied, empty where the source has none; no others ever are.
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID")
WHERE_STATED = ("SpecificCharacterSet", "StudyDescription", "BurnedInAnnotation", "Laterality")
PURPOSE = Code("121322", "DCM", "Source image for image processing operation")


@dataclass(frozen=True, eq=False)
class Origin:
    """A source object, and whether what is made of it is de-identified."""

    source: DicomFile
    deidentify: bool
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)  # of one run's UIDs

    @classmethod
    def of(cls, path: Path, *, max_pixels: int, deidentify: bool) -> "Origin":
        """Read the header of `path` again; raises InputError as `read_header` does."""
        return cls(read_header(path, max_pixels=max_pixels), deidentify)

    def common(self) -> Dataset:
        """A new dataset with the patient and the study, for an object that belongs to them."""
        header, made = self.source.header, Dataset()
        for keyword in (*PATIENT, *STUDY):
            setattr(made, keyword, header.get(keyword))
        for keyword in WHERE_STATED:
            if keyword in header:
                setattr(made, keyword, header.get(keyword))
        made.StudyInstanceUID = header.StudyInstanceUID
        return made

    def reference(self) -> Dataset:
        """An item that refers to the source object."""
        item = Dataset()
        item.ReferencedSOPClassUID = self.source.header.SOPClassUID
        item.ReferencedSOPInstanceUID = self.source.header.SOPInstanceUID
        item.PurposeOfReferenceCodeSequence = [code_item(PURPOSE)]
        return item

    def equip(self, made: Dataset) -> None:
        """Say which program made the object."""
        made.Manufacturer = made.ManufacturerModelName = MAKER
        made.SoftwareVersions = version(MAKER)

    def finish(self, made: Dataset) -> None:
        """De-identify an object that is complete, where that was asked for."""
        if self.deidentify:
            deidentify(made, self.salt)


def code_item(code: Code) -> Dataset:
    """A code as an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
