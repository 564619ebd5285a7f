"""FROC: the share of polyps found against false outlines a frame, as the mean probability asked for falls.

Bunch et al., "A free response approach to the measurement and characterization of radiographic observer
performance", Proc. SPIE 127, 1977. The regions are those of the operating point's threshold and area; what
moves along the curve is the mean probability that an outline must have, so the operating point lies on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from rtpolyp.measure.figure_files import write_text

__all__ = ["RATES", "Candidate", "FrocPoint", "froc", "sensitivity_at", "write_froc"]

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # false outlines a frame, for the table
LEFT, TOP, WIDTH, HEIGHT = 60, 20, 420, 300  # of the picture's plot, pixels


@dataclass(frozen=True)
class Candidate:
    """An outline, and the polyps of its frame that it meets with IoU ≥ 0.3, by number."""

    confidence: float  # mean probability, 0 to 1
    polyps: frozenset[int]  # none: it is false


@dataclass(frozen=True)
class FrocPoint:
    """What is found, and what is outlined falsely, from one mean probability on."""

    confidence: float  # that an outline has at least
    sensitivity: float  # share of all polyps that are found
    false_per_frame: float
    found: int
    polyps: int
    false_outlines: int
    frames: int


def froc(frames: Sequence[tuple[int, Sequence[Candidate]]]) -> list[FrocPoint]:
    """The curve's points, from the most certain outline to all, one for each mean probability that occurs.

    `frames` gives the number of polyps and the outlines of each frame. Empty without a polyp or an outline.
    """
    polyps = sum(count for count, _ in frames)
    ranked = [(one.confidence, frame, one.polyps) for frame, (_, ones) in enumerate(frames) for one in ones]
    ranked.sort(key=lambda entry: -entry[0])
    if not polyps:
        return []
    points: list[FrocPoint] = []
    found: set[tuple[int, int]] = set()
    false = 0
    for place, (confidence, frame, met) in enumerate(ranked):
        found.update((frame, polyp) for polyp in met)
        false += not met
        if place + 1 == len(ranked) or ranked[place + 1][0] < confidence:
            share, rate = len(found) / polyps, false / len(frames)
            points.append(FrocPoint(confidence, share, rate, len(found), polyps, false, len(frames)))
    return points


def sensitivity_at(points: Sequence[FrocPoint], rate: float) -> FrocPoint | None:
    """The point with the most polyps found at `rate` false outlines a frame or fewer; None without one."""
    return next((point for point in reversed(points) if point.false_per_frame <= rate), None)


def write_froc(points: Sequence[FrocPoint], path: Path) -> tuple[Path, Path]:
    """Write the curve as `path` with .csv and as a picture with .svg; raises OutputError."""
    table, picture = path.with_suffix(".csv"), path.with_suffix(".svg")
    names = [field.name for field in fields(FrocPoint)]
    rows = [",".join(f"{getattr(point, name):.6g}" for name in names) for point in points]
    write_text("\n".join([",".join(names), *rows]) + "\n", table)
    write_text(_drawn(points), picture)
    return table, picture


def _drawn(points: Sequence[FrocPoint]) -> str:
    """The curve as SVG: steps on axes from 0, the false outlines up to where the last polyp is found."""
    enough = next((point for point in points if point.found == points[-1].found), None)
    most = enough.false_per_frame if enough is not None and enough.false_per_frame else 1.0

    def at(rate: float, share: float) -> str:
        return f"{LEFT + WIDTH * min(rate / most, 1):.1f} {TOP + HEIGHT * (1 - share):.1f}"

    path, before = [f"M {at(0, 0)}"], 0.0
    for point in points:
        path += [
            f"L {at(point.false_per_frame, before)}",
            f"L {at(point.false_per_frame, point.sensitivity)}",
        ]
        before = point.sensitivity
    curve = " ".join([*path, f"L {at(most, before)}"])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{TOP + HEIGHT + 55}">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<g font-family="sans-serif" font-size="12" fill="#444" text-anchor="middle">',
        *_axes(most),
        f'</g><path d="{curve}" fill="none" stroke="#00897b" stroke-width="2"/></svg>',
    ]
    return "\n".join(lines) + "\n"


def _axes(most: float) -> list[str]:
    lines = []
    for part in range(6):
        x, y = LEFT + WIDTH * part / 5, TOP + HEIGHT * part / 5
        lines += [
            f'<path d="M {x:.1f} {TOP} V {TOP + HEIGHT} M {LEFT} {y:.1f} H {LEFT + WIDTH}" stroke="#ddd"/>',
            f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}">{most * part / 5:.3g}</text>',
            f'<text x="{LEFT - 20}" y="{y + 4:.1f}">{1 - part / 5:.1f}</text>',
        ]
    lines.append(f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 40}">false outlines a frame</text>')
    lines.append(f'<text transform="translate(18 {TOP + HEIGHT / 2}) rotate(-90)">polyps found</text>')
    return lines
