"""Contact sheet: the worst frames of an evaluation on one picture, truth against prediction."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError, OutputError
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.measure.evaluation import Evaluation, FrameScore

__all__ = ["contact_sheet", "worst_frames", "write_sheet"]

PANEL = 300  # pixels; a panel's larger side at most, so that small polyps remain visible
MARGIN = 12  # pixels between cases
CAPTION = 30  # pixels under a case
COLUMNS = 3
BACKGROUND = (24, 24, 24)
TEXT = (235, 235, 235)
# Both differ from mucosa, from each other in brightness, and for colour-blind readers.
TRUTH = (255, 200, 60)  # BGR, sky blue
PREDICTION = (60, 240, 255)  # BGR, yellow
FONT = cv2.FONT_HERSHEY_SIMPLEX


def worst_frames(evaluation: Evaluation, count: int) -> list[FrameScore]:
    """The `count` worst frames at the operating point: lowest Dice first.

    A frame without a polyp is a case when something was outlined on it: its Dice counts as 0, and the larger
    the outlined area the worse.
    """

    def rank(frame: FrameScore) -> tuple[float, int]:
        return frame.operating.dice if frame.has_polyp else 0.0, -frame.operating.predicted

    cases = (frame for frame in evaluation.frames if frame.has_polyp or frame.polyps)
    return sorted(cases, key=rank)[:count]


def contact_sheet(frames: Sequence[FrameScore]) -> NDArray[np.uint8]:
    """Draw the cases as `(H, W, 3) uint8 BGR`: the picture, and beside it truth and prediction outlined.

    Raises InputError when there is nothing to draw or an image has gone.
    """
    if not frames:
        raise InputError("no case for a contact sheet: no frame has a polyp or an outline")
    columns = min(COLUMNS, len(frames))
    cases = [_case(frame) for frame in frames]
    rows = [_row(cases[start : start + columns], columns) for start in range(0, len(cases), columns)]
    return np.concatenate([_legend(rows[0].shape[1]), *rows])


def write_sheet(evaluation: Evaluation, count: int, path: Path) -> None:
    """Write the contact sheet of the `count` worst frames as PNG; raises OutputError when that fails."""
    sheet = contact_sheet(worst_frames(evaluation, count))
    try:
        path.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror}); choose another place") from exc


def _row(cases: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Cases side by side, as high as the highest."""
    height = max(case.shape[0] for case in cases) + MARGIN
    row = _canvas(height, columns * (2 * PANEL + MARGIN) + MARGIN)
    for column, case in enumerate(cases):
        x = MARGIN + column * (2 * PANEL + MARGIN)
        row[: case.shape[0], x : x + 2 * PANEL] = case
    return row


def _case(frame: FrameScore) -> NDArray[np.uint8]:
    """The picture, the picture with outlines, and the caption under them."""
    image, truth = read_image(frame.pair.image), read_mask(frame.pair.mask)
    scale = PANEL / max(image.shape[:2])
    width, height = size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    plain = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    drawn = plain.copy()
    shrunk = cv2.resize(truth.astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    contours, _ = cv2.findContours((shrunk > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, TRUTH, 2, cv2.LINE_AA)
    for polyp in frame.polyps:
        points = np.rint(polyp.contour * scale - 0.5).astype(np.int32)
        cv2.polylines(drawn, [points.reshape(-1, 1, 2)], True, PREDICTION, 2, cv2.LINE_AA)
    case = _canvas(height + CAPTION, 2 * PANEL)
    for left, panel in ((0, plain), (PANEL, drawn)):
        x = left + (PANEL - width) // 2
        case[:height, x : x + width] = panel
    found = f"Dice {frame.operating.dice:.2f}" if frame.has_polyp else "no polyp here"
    _write(case, f"{found}   {_short(frame.pair.name)}", (2, height + 21))
    return case


def _legend(width: int) -> NDArray[np.uint8]:
    legend = _canvas(CAPTION, width)
    x = MARGIN
    for text, colour in (("truth", TRUTH), ("prediction", PREDICTION)):
        cv2.line(legend, (x, 15), (x + 24, 15), colour, 3, cv2.LINE_AA)
        _write(legend, text, (x + 32, 20))
        x += 150
    return legend


def _canvas(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def _write(picture: NDArray[np.uint8], text: str, origin: tuple[int, int]) -> None:
    cv2.putText(picture, text, origin, FONT, 0.55, TEXT, 1, cv2.LINE_AA)


def _short(name: str, limit: int = 34) -> str:
    return name if len(name) <= limit else f"{name[:15]}...{name[-16:]}"
