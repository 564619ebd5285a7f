"""LabelMe at the other end, in an environment of its own: labelme_peer.py FOLDER MASKS.npz.

Reads every JSON file of FOLDER by LabelMe's own loader, and draws its shapes by LabelMe's own function:
MASKS.npz gets the union of each file's shapes as `(H, W) uint8`.
"""

import io
import sys
from pathlib import Path

import numpy as np
import PIL.Image
from labelme._label_file import LabelFile
from labelme.utils import shape_to_mask

if __name__ == "__main__":
    found = {}
    for path in sorted(Path(sys.argv[1]).glob("*.json")):
        file = LabelFile(str(path))
        width, height = PIL.Image.open(io.BytesIO(file.image_data)).size
        union = np.zeros((height, width), bool)
        for shape in file.shapes:
            if shape["shape_type"] == "mask":
                (left, top), (right, bottom) = (map(int, point) for point in shape["points"])
                union[top : bottom + 1, left : right + 1] |= shape["mask"]
            else:
                union |= shape_to_mask((height, width), shape["points"], shape["shape_type"])
        found[path.stem] = union.astype(np.uint8)
    np.savez(sys.argv[2], **found)
