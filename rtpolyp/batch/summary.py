"""VideoSummary and ArchiveSummary: what a researcher asks of a batch first, and the CSV files of it."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from rtpolyp.measure.temporal import ACTIVATION_SECONDS
from rtpolyp.printable import as_cell
from rtpolyp.report.examination import Examination

__all__ = ["ArchiveSummary", "VideoSummary", "archive_of", "csv_of", "summarise"]

NOT_SEEN = ("blurred", "outside")  # qualities of frames in which no polyp can be seen
ROUNDING_SECONDS = 1e-6  # times are sums of rounded fractions


@dataclass(frozen=True)
class VideoSummary:
    """One video. A sighting is a track, and lasts from its first outline to its last."""

    video: str
    seconds: float = 0.0  # of video that were analysed
    frames: int = 0
    sightings: int = 0
    first_sighting_seconds: float | None = None  # from the video's first frame
    longest_sighting_seconds: float = 0.0
    sightings_half_second: int = 0  # of 0.5 s and more
    sightings_one_second: int = 0
    sightings_two_seconds: int = 0
    not_seen_frames: int = 0  # blurred, or outside the body
    problem: str | None = None  # where the file broke off, or could not be read at all

    @property
    def minutes(self) -> float:
        """The length of the video in minutes."""
        return self.seconds / 60


@dataclass(frozen=True)
class ArchiveSummary:
    """All videos together."""

    videos: int  # that were analysed
    problems: int  # videos that could not be read, or only in part
    hours: float
    sightings: int
    videos_with_sightings: int
    median_first_sighting_seconds: float | None  # over the videos that have one
    longest_sighting_seconds: float
    activations_a_minute_half_second: float | None  # None where no time passed
    activations_a_minute_one_second: float | None
    activations_a_minute_two_seconds: float | None
    not_seen_share: float | None  # of all frames


def summarise(name: str, run: Examination, qualities: Sequence[str], problem: str | None) -> VideoSummary:
    """What an examination and the quality of each of its frames come to."""
    lasting = [one.seconds for one in run.sightings]
    half, one_second, two = (
        sum(length >= least - ROUNDING_SECONDS for length in lasting) for least in ACTIVATION_SECONDS
    )
    first = min((one.first_seconds for one in run.sightings), default=None)
    return VideoSummary(
        name,
        run.duration_seconds,
        len(run.seconds),
        len(lasting),
        None if first is None else first - float(run.seconds[0]),
        max(lasting, default=0.0),
        half,
        one_second,
        two,
        not_seen_frames=sum(quality in NOT_SEEN for quality in qualities),
        problem=problem,
    )


def archive_of(videos: Sequence[VideoSummary], unread: int) -> ArchiveSummary:
    """The sum of all videos; `unread` are those of which there is nothing."""
    minutes, frames = sum(one.minutes for one in videos), sum(one.frames for one in videos)
    firsts = [one.first_sighting_seconds for one in videos if one.first_sighting_seconds is not None]

    def rate(counts: Iterable[int]) -> float | None:
        return sum(counts) / minutes if minutes else None

    return ArchiveSummary(
        len(videos),
        unread + sum(one.problem is not None for one in videos),
        minutes / 60,
        sum(one.sightings for one in videos),
        len(firsts),
        median(firsts) if firsts else None,
        max((one.longest_sighting_seconds for one in videos), default=0.0),
        rate(one.sightings_half_second for one in videos),
        rate(one.sightings_one_second for one in videos),
        rate(one.sightings_two_seconds for one in videos),
        sum(one.not_seen_frames for one in videos) / frames if frames else None,
    )


def csv_of(rows: Sequence[VideoSummary | ArchiveSummary]) -> bytes:
    """A CSV file with a heading; of a video, its rates a minute beside its counts."""
    lines = [_row(row) for row in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(lines[0]) if lines else ["video"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue().encode("utf-8")


def _row(row: VideoSummary | ArchiveSummary) -> dict[str, object]:
    values: dict[str, object] = asdict(row)
    if isinstance(row, VideoSummary):
        single = archive_of([row], 0)
        rates = {name: value for name, value in asdict(single).items() if name.startswith("activations")}
        problem = values.pop("problem")
        values |= {**rates, "not_seen_share": single.not_seen_share, "problem": problem}
    return {name: _cell(value) for name, value in values.items()}


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    return as_cell(value) if isinstance(value, str) else value
