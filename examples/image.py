"""Outline the polyps in one picture: python examples/image.py picture.jpg outlined.png"""

import sys

import rtpolyp


def main(picture: str, outlined: str) -> None:
    with rtpolyp.load("pranet-if") as model:
        result = model(picture)
    for polyp in result.polyps:
        print(f"{polyp.box}: {polyp.area:.0f} pixels, confidence {polyp.confidence:.2f}")
    result.save(outlined, style="outline")
    print(f"{outlined}: {len(result.polyps)} polyps")


if __name__ == "__main__":
    main(*sys.argv[1:])
