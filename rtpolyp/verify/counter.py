"""A number drawn in a picture that survives encoding, so that whoever sees the picture knows its age."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "SMALLEST_WIDTH", "draw_counter", "read_counter"]

BITS = 12
CELL = 16  # pixels: a macroblock, so that no transform mixes two cells
LARGEST = (1 << BITS) - 1
SMALLEST_WIDTH = CELL * (BITS + 3)  # pixels that a picture must have for it
DARK, BRIGHT = 16, 160  # luma, far from each other and both like a tower's text


def draw_counter(bgr: NDArray[np.uint8], number: int) -> None:
    """Draw `number` into `(H, W, 3) uint8 BGR` in place, at its upper left: BITS cells, then its parity.

    Raises ValueError for a number of more bits.
    """
    if not 0 <= number < 1 << BITS:
        raise ValueError(f"{number} has no {BITS} bits")
    bits = [number >> place & 1 for place in range(BITS)]
    for column, bit in enumerate((*bits, 1 - sum(bits) % 2)):
        bgr[CELL : 2 * CELL, CELL * (1 + column) : CELL * (2 + column)] = BRIGHT if bit else DARK


def read_counter(luma: NDArray[np.uint8]) -> int | None:
    """The number in a `(H, W) uint8` luma plane; None where no readable one is."""
    row = luma[CELL : 2 * CELL, CELL : CELL * (2 + BITS)]
    if row.shape != (CELL, CELL * (1 + BITS)):
        return None
    inner = row.reshape(CELL, 1 + BITS, CELL)[4:-4, :, 4:-4].mean(axis=(0, 2))
    bits = [int(value > (DARK + BRIGHT) / 2) for value in inner]
    return None if sum(bits) % 2 == 0 else sum(bit << place for place, bit in enumerate(bits[:BITS]))
