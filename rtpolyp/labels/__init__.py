"""What was found or labelled, as files of labelling tools; `python -m train.prepare` reads them back."""

from rtpolyp.labels.export import FORMATS, export_labels
from rtpolyp.labels.mask_folder import read_mask_folder
from rtpolyp.labels.model import LabelledFrame, Labels, Region
from rtpolyp.labels.run_file import read_run

__all__ = [
    "FORMATS",
    "LabelledFrame",
    "Labels",
    "Region",
    "export_labels",
    "read_mask_folder",
    "read_run",
]
