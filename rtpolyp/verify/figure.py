"""Figure: one thing that is measured, with its method, its sample and its limit."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rtpolyp.checks import known_names
from rtpolyp.errors import InputError

__all__ = ["KINDS", "Figure", "Kind", "figure", "limited", "parse_limits"]


@dataclass(frozen=True)
class Kind:
    """What a figure is of, however often it is measured."""

    title: str
    unit: str
    method: str
    limit: float | None = None  # by default
    bound: Literal["most", "least"] = "most"  # whether a figure may not exceed its limit, or not fall below


KINDS: Mapping[str, Kind] = {
    "changed_samples": Kind(
        "Changed outside the marks, before encoding", "samples",
        "Y, U and V of every frame handed to the display against those that the decoder gave, outside the "
        "polyps' boxes widened by the pen", 0,
    ),
    "psnr": Kind(
        "PSNR outside the marks, after encoding", "dB",
        "libavfilter's psnr of luma, recording against clip, the marks' places filled from the clip; mean",
        None, "least",
    ),
    "ssim": Kind(
        "SSIM outside the marks, after encoding", "", "libavfilter's ssim of luma, likewise; mean", None,
        "least",
    ),
    "vif": Kind(
        "VIF outside the marks, after encoding", "",
        "libavfilter's vif of luma at full scale, likewise; mean. Most features of VMAF are VIF; VMAF itself "
        "was not measured, since PyAV's libav has no libvmaf", None, "least",
    ),
    "colour_error": Kind(
        "Colour error", "levels of 255",
        "mean of blue, green or red, whichever is farthest off, recording less clip, each shown by its own "
        "tags, outside the marks; largest of all frames of the sample", 1.5,
    ),
    "colour_tags": Kind("Colour tags that differ", "tags", "matrix and range, recording against clip", 0),
    "mark_lag": Kind(
        "Marks behind their picture", "frames",
        "how many frames ago the outlines were found that explain what is drawn best, over all frames with "
        "outlines", 0,
    ),
    "mark_lag_ms": Kind("Marks behind their picture, in time", "ms", "the same times the frame interval", 0),
    "mark_offset": Kind(
        "Marks beside their place", "pixels",
        "the shift of the outlines that explains what is drawn best, the longer of across and down", 0,
    ),
    "mark_onset": Kind(
        "From a polyp's first appearance to its first mark", "ms",
        "first frame of a polyp in the clip's own masks to the first outline that touches it; longest", None,
    ),
    "mark_end": Kind(
        "From a polyp's last appearance to its mark's end", "ms",
        "last frame of a polyp in the clip's own masks to the last outline without a break; longest", None,
    ),
    "unmarked": Kind("Polyps never marked", "polyps", "of those in the clip's own masks", None),
    "dropped": Kind("Dropped frames", "frames", "of the clip, that the recording does not show", 0),
    "repeated": Kind("Repeated frames", "frames", "that the recording shows again", 0),
    "timestamp_error": Kind(
        "Timestamp error", "ms", "a recorded frame's time less that of the same frame in the clip; largest", 1
    ),
    "rate_error": Kind(
        "Error of the frame rate", "ppm",
        "slope of the recorded frames' times over those of the same frames in the clip", 100,
    ),
    "picture_delay": Kind(
        "From the decoder to the display, live", "ms",
        "the counter in each picture that the display is given tells which frame it is, and the source when "
        "that frame left the decoder", None,
    ),
    "display_gap": Kind(
        "Longest time between two pictures, live", "ms",
        "at the display; the limit is two frame intervals", None,
    ),
    "not_shown": Kind(
        "Frames never shown, live", "frames", "of those that left the decoder, by the counter at the display",
        None,
    ),
    "mark_age": Kind(
        "Age of the marks on the screen, live", "ms",
        "from the moment that their frame left the decoder to the display, as the session itself tells it",
        None,
    ),
    "recorded_time": Kind(
        "Timestamp error of the live recording", "ms",
        "a recorded frame's time less that of the same frame in the clip, less the first one's; largest",
        None,
    ),
    "fault_gap": Kind(
        "Longest time between two pictures, with a fault", "ms",
        "at the display, in a session with one fault after four seconds; the limit is two frame intervals",
        None,
    ),
    "fault_outage": Kind(
        "From a fault until the AI and the source are back", "s",
        "from the first event of the log that says that one is off to the first after which both are on",
        None,
    ),
    "chart_error": Kind(
        "Colour error of a chart", "levels of 255",
        "farthest channel of the farthest of its patches, as recorded and shown, from its known colour", 3,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A measurement; `value` is None where there is none, and `sample` says why."""

    name: str  # key of KINDS, for a chart followed by a colon and what it is of
    value: float | None
    sample: str  # what it was measured on
    limit: float | None = None  # None: it is told, and judges nothing

    @property
    def kind(self) -> Kind:
        """What it is of."""
        return KINDS[self.name.partition(":")[0]]

    @property
    def title(self) -> str:
        """Its name for people."""
        of = self.name.partition(":")[2]
        return f"{self.kind.title}, {of}" if of else self.kind.title

    @property
    def passed(self) -> bool | None:
        """Whether it keeps to its limit; None without a limit. What was not measured has not passed."""
        if self.limit is None:
            return None
        if self.value is None:
            return False
        return self.value <= self.limit if self.kind.bound == "most" else self.value >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which knows no infinity: of equal pictures the PSNR is a text."""
        value = "infinite" if self.value is not None and math.isinf(self.value) else self.value
        kind = asdict(self.kind)
        del kind["limit"]
        return {"name": self.name, **kind, **asdict(self), "title": self.title, "value": value} | {
            "passed": self.passed
        }


def figure(name: str, value: float | None, sample: str, limit: float | None = None) -> Figure:
    """A measurement with this limit, or its kind's default one as far as it was measured."""
    default = None if value is None else KINDS[name.partition(":")[0]].limit
    return Figure(name, value, sample, default if limit is None else limit)


def parse_limits(texts: Iterable[str]) -> dict[str, float]:
    """Read `NAME=VALUE` each; raises InputError where a name is unknown or a value no number."""
    limits = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in KINDS:
            raise InputError(f" {text!r} has no known name; {known_names(name, KINDS)}", parameter="limit")
        try:
            limits[name] = float(value)
        except ValueError:
            limits[name] = math.nan
        if not math.isfinite(limits[name]):
            raise InputError(f" {text!r} has no number: give NAME=VALUE, e.g. psnr=40", parameter="limit")
    return limits


def limited(figures: Sequence[Figure], limits: Mapping[str, float]) -> list[Figure]:
    """The figures with the user's limits in place of the default ones."""
    return [
        Figure(one.name, one.value, one.sample, limits.get(one.name.partition(":")[0], one.limit))
        for one in figures
    ]
