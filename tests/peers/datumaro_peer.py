"""Datumaro at the other end, in an environment of its own.

datumaro_peer.py read FORMAT FOLDER MASKS.npz: imports FOLDER; MASKS.npz gets the union of each item's
outlines as `(H, W) uint8`, MASKS.json their attributes.
datumaro_peer.py write FORMAT FOLDER MASKS.npz: exports the masks beside pictures of noise, some regions
without a hole as polygons, the others as masks.
datumaro_peer.py convert FORMAT FOLDER OUT: imports FOLDER and exports it again to OUT, in the same format.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from datumaro.components.annotation import AnnotationType, Mask, Polygon
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image
from datumaro.util.mask_tools import rles_to_mask


def read(form: str, folder: Path, masks: Path) -> None:
    """Import and rasterise by Datumaro's own functions."""
    found, attributes = {}, {}
    for item in Dataset.import_from(str(folder), form):
        size = item.media.size if item.media else None
        height, width = size or cv2.imread(str(next((folder / "images").rglob("*.*g")))).shape[:2]
        union = np.zeros((height, width), bool)
        drawn = (one for one in item.annotations if one.type is not AnnotationType.bbox)
        shown = [one for one in drawn if not one.attributes.get("outside")]
        for one in shown:
            if one.type is AnnotationType.mask:
                union |= one.image.astype(bool)
            else:
                union |= rles_to_mask([one.points], width, height).astype(bool)
        found[str(item.id)] = union.astype(np.uint8)
        attributes[str(item.id)] = [
            {key: str(value) for key, value in one.attributes.items()} for one in shown
        ]
    np.savez(masks, **found)
    masks.with_suffix(".json").write_text(json.dumps(attributes))


def write(form: str, folder: Path, masks: Path) -> None:
    """Export masks and polygons."""
    items = []
    for name, mask in np.load(masks).items():
        annotations = []
        count, labels = cv2.connectedComponents(mask, connectivity=8)
        for number in range(1, count):
            region = (labels == number).astype(np.uint8)
            contours, _ = cv2.findContours(region, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            if number % 2 and len(contours) == 1 and len(contours[0]) > 20:
                annotations.append(Polygon(contours[0].ravel().astype(float).tolist(), label=0))
            else:
                annotations.append(Mask(region, label=0))
        noise = np.random.default_rng(len(items)).integers(0, 255, (*mask.shape, 3), np.uint8)
        items.append(
            DatasetItem(
                name,
                subset=("train", "val")[len(items) % 2],
                media=Image.from_numpy(noise),
                annotations=annotations,
            )
        )
    data = Dataset.from_iterable(items, categories=["polyp"])
    data.export(str(folder), form, save_media=True)


def convert(form: str, folder: Path, out: Path) -> None:
    """Import and export; of COCO as masks, for by default Datumaro makes polygons of them and fills holes."""
    options = {"segmentation_mode": "mask"} if form.startswith("coco") else {}
    Dataset.import_from(str(folder), form).export(str(out), form, save_media=True, **options)


if __name__ == "__main__":
    action, form, *paths = sys.argv[1:]
    {"read": read, "write": write, "convert": convert}[action](form, *map(Path, paths))
