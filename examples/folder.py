"""A table and a mask a picture, of a whole folder: python examples/folder.py images/ found/"""

import csv
import sys
from pathlib import Path

import cv2
import numpy as np

import rtpolyp


def main(images: str, found: str) -> None:
    folder = Path(found)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        rtpolyp.load("pranet-if", optimise_for="throughput") as model,
        (folder / "polyps.csv").open("w", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(("image", "x", "y", "width", "height", "area", "confidence"))
        for result in model.stream(images, crop="off"):
            cv2.imwrite(str(folder / f"{result.name}.png"), 255 * result.mask.astype(np.uint8))
            for polyp in result.polyps:
                box = polyp.box
                row = (result.name, box.x, box.y, box.width, box.height, polyp.area, polyp.confidence)
                table.writerow(row)
            print(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
