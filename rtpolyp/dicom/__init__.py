"""DICOM objects of endoscopy: read within bounds, and written with a reference to what they came from.

`magic` alone may be imported without the extra; the other modules need pydicom and highdicom.
"""
