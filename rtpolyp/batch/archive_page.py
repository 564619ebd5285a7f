"""render_archive: a batch as one HTML page, in the style of the reports that it leads to."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from rtpolyp.batch.summary import ArchiveSummary, VideoSummary, archive_of
from rtpolyp.report.charts import bars, clock
from rtpolyp.report.page import NOTICE, page_of, text_of

__all__ = ["render_archive"]

HEADINGS = (
    *("no.", "video", "length", "sightings", "first after", "longest"),
    *("≥ 0.5 s a minute", "≥ 1 s", "≥ 2 s", "blurred or outside"),
)


def render_archive(
    videos: Sequence[VideoSummary], unread: Mapping[str, str], *, pages: Mapping[str, str]
) -> str:
    """The page. `unread` says by a video's name why there is nothing of it; `pages` are paths of reports."""
    archive = archive_of(videos, len(unread))
    problems = {**{one.video: one.problem for one in videos if one.problem}, **unread}
    numbers = [str(index) for index in range(1, len(videos) + 1)]
    drawn = bars([one.sightings for one in videos], numbers, name="Sightings")
    parts = [
        "<h1>Batch</h1>",
        NOTICE,
        _figures(archive),
        '<h2>Sightings of each video</h2>\n<figure><div class="chart" tabindex="0" role="region" '
        f'aria-label="Sightings">{drawn}</div></figure>',
        f'<h2>Videos</h2>\n<div class="scroll"><table><thead><tr>{_headings()}</tr></thead><tbody>'
        + "".join(_video(index, one, pages.get(one.video)) for index, one in enumerate(videos, 1))
        + "</tbody></table></div>",
    ]
    if problems:
        rows = "".join(
            f"<tr><td>{text_of(name)}</td><td>{text_of(why)}</td></tr>" for name, why in problems.items()
        )
        parts.append(
            '<h2>Not read, or only in part</h2>\n<div class="scroll"><table><thead><tr>'
            '<th scope="col">video</th><th scope="col">why</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )
    return page_of("Batch", parts)


def _headings() -> str:
    return "".join(f'<th scope="col">{name}</th>' for name in HEADINGS)


def _figures(archive: ArchiveSummary) -> str:
    cells = (
        (f"{archive.videos:,}", "videos analysed"),
        (clock(3600 * archive.hours), "of video"),
        (f"{archive.sightings:,}", "sightings"),
        (f"{archive.videos_with_sightings:,}", "videos with a sighting"),
        (_seconds(archive.median_first_sighting_seconds), "median time to the first"),
        (_seconds(archive.longest_sighting_seconds), "the longest"),
        (_rate(archive.activations_a_minute_half_second), "a minute of 0.5 s and more"),
        (_rate(archive.activations_a_minute_one_second), "of 1 s and more"),
        (_rate(archive.activations_a_minute_two_seconds), "of 2 s and more"),
        (_percent(archive.not_seen_share), "of frames blurred or outside the body"),
        (f"{archive.problems:,}", "videos not read, or only in part"),
    )
    rows = "".join(f"<li><strong>{value}</strong> {name}</li>" for value, name in cells)
    return f'<ul class="figures">{rows}</ul>'


def _video(index: int, one: VideoSummary, page: str | None) -> str:
    alone = archive_of([one], 0)
    name = text_of(one.video)
    cells = (
        str(index),
        name if page is None else f'<a href="{quote(page)}">{name}</a>',
        clock(one.seconds),
        f"{one.sightings:,}",
        _seconds(one.first_sighting_seconds),
        _seconds(one.longest_sighting_seconds),
        _rate(alone.activations_a_minute_half_second),
        _rate(alone.activations_a_minute_one_second),
        _rate(alone.activations_a_minute_two_seconds),
        _percent(alone.not_seen_share),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
