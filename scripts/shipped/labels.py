"""Labels beside the points that they name, where they cover least."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["Box", "Label", "Placed", "place"]

Anchor = Literal["start", "middle", "end"]
MARGIN = 2.5  # pixels that stay free around a label
GLYPH = 0.56  # mean width over size of the letters of a sans-serif font, a little generous


class Box(NamedTuple):
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: "Box") -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)


@dataclass(frozen=True)
class Label:
    """A text that belongs to a point."""

    text: str
    x: float
    y: float
    colour: str
    size: float = 11.0
    weight: int = 400
    gap: float = 8.0  # from the point


class Placed(NamedTuple):
    """A label, the point where its base line begins, and how it is anchored there."""

    label: Label
    x: float
    y: float
    anchor: Anchor
    box: Box


def place(labels: Sequence[Label], taken: Iterable[Box], inside: Box) -> list[Placed]:
    """Place labels one after the other, each where it covers least of what is there; important ones first."""
    occupied, placed = list(taken), list[Placed]()
    for label in labels:
        best = min(_candidates(label), key=lambda one: _cost(one.box, occupied, inside))
        placed.append(best)
        occupied.append(best.box)
    return placed


def _cost(box: Box, occupied: Sequence[Box], inside: Box) -> float:
    outside = (box.right - box.left) * (box.bottom - box.top) - box.shared(inside)
    return sum(box.shared(other) for other in occupied) + 10 * outside


def _candidates(label: Label) -> Iterator[Placed]:
    """Right, left, above, below, at the corners, then all further away; of equals the first is taken."""
    width, height, level = GLYPH * label.size * len(label.text), label.size, 0.36 * label.size
    for gap in (label.gap, 1.8 * label.gap, 3 * label.gap):
        places: tuple[tuple[float, float, Anchor], ...] = (
            *((gap, level, "start"), (-gap, level, "end")),
            *((0, -gap, "middle"), (0, gap + 0.75 * height, "middle")),
            *((0.7 * gap, -0.7 * gap, "start"), (0.7 * gap, 0.7 * gap + 0.75 * height, "start")),
            *((-0.7 * gap, -0.7 * gap, "end"), (-0.7 * gap, 0.7 * gap + 0.75 * height, "end")),
        )
        for dx, dy, anchor in places:
            x, y = label.x + dx, label.y + dy
            left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = Box(
                left - MARGIN, y - 0.8 * height - MARGIN, left + width + MARGIN, y + 0.2 * height + MARGIN
            )
            yield Placed(label, x, y, anchor, box)
