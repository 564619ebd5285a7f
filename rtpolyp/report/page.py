"""render_page: an examination as one HTML page without scripts and without anything from elsewhere."""

import base64
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from rtpolyp.printable import printable
from rtpolyp.report.charts import bars, clock, curve, timeline
from rtpolyp.report.examination import Examination
from rtpolyp.report.sightings import BRIEF_SECONDS, Sighting

__all__ = ["NOTICE", "page_of", "render_page", "text_of"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
NOTICE = (
    '<p class="notice">Research software, not a medical device. What was outlined need not be a polyp, '
    "and what was not outlined may be one.</p>"
)
MOST_BRIEF = 1500  # rows of brief sightings; a page of more would neither open at once nor be read
MOST_SHOWN = 1000  # sightings with an entry of their own
MOST_REMARKS = 50
NAMES = ("source",)  # of the header: a file's name may be a patient's
TIMES = {
    "engine": "from handing a frame to the engine to its result",
    "inference": "from handing a frame to the engine to its result",
    "overlay_age": "age of the result on the screen, from the capture of its frame",
}


def render_page(run: Examination, thumbnails: Mapping[int, bytes], *, deidentify: bool = False) -> str:
    """The page. `thumbnails` are JPEGs by a sighting's number. With `deidentify` it names no file."""
    source = None if deidentify else run.header.get("source")
    title = "Report" if source is None else f"Report: {text_of(source)}"
    lasting = [one for one in run.sightings if not (run.is_stream and one.is_brief)]
    shown = sorted(sorted(lasting, key=lambda one: -one.frames)[:MOST_SHOWN], key=lambda one: one.number)
    brief = [one for one in run.sightings if run.is_stream and one.is_brief]
    labels = [_label(run, one, deidentify=deidentify) for one in run.sightings]
    parts = [
        f"<h1>{title}</h1>",
        NOTICE,
        _figures(run, len(lasting), len(brief)),
    ]
    if run.is_stream:
        parts.append(_over_time(run, shown, labels))
    parts.append(_entries(shown, labels, thumbnails, run))
    if len(lasting) > len(shown):
        parts.append(f"<p>{len(lasting) - len(shown):,} shorter ones stand in the JSON lines.</p>")
    if brief:
        parts.append(_brief(brief, labels))
    parts += [_latency(run), _settings(run, deidentify=deidentify)]
    return page_of(title, parts)


def page_of(title: str, parts: Iterable[str]) -> str:
    """A page in the reports' style that says `title` in its tab and shows `parts`; both are HTML."""
    style = (files("rtpolyp.report") / "report.css").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _figures(run: Examination, lasting: int, brief: int) -> str:
    found = int(np.count_nonzero(run.confidence))
    frames = len(run.seconds)
    what = "frames" if run.is_stream else "images"
    cells = [
        (f"{frames:,}", f"{what} analysed"),
        (f"{100 * found / frames:.1f} %", f"of the {what} with an outline"),
        (f"{lasting:,}", "sightings" if run.is_stream else "images with an outline"),
    ]
    if run.is_stream:
        cells.insert(0, (clock(run.duration_seconds), "length"))
        cells.append((f"{brief:,}", f"brief ones, below {BRIEF_SECONDS:g} s"))
    rows = "".join(f"<li><strong>{value}</strong> {name}</li>" for value, name in cells)
    notes = ""
    if run.summary is None:
        notes = '<p class="notice">The run was interrupted: its results end without a summary.</p>'
    return f'<ul class="figures">{rows}</ul>{notes}'


def _over_time(run: Examination, shown: list[Sighting], labels: list[str]) -> str:
    start, duration = float(run.seconds[0]), run.duration_seconds
    largest = float(np.ceil(100 * run.area.max())) if run.area.max() > 0 else 1.0
    minutes = run.minutes()
    times = run.seconds, start, duration
    confidence = curve(times, run.confidence, most=1, name="Confidence", unit="")
    area = curve(times, 100 * run.area, most=largest, name="Area", unit=" %")
    names = [str(index) for index in range(len(minutes))]
    begun = bars([one.sightings for one in minutes], names, name="Sightings that began in each minute")
    rows = "".join(
        f"<tr><td>{index}</td><td>{one.sightings}</td><td>{one.with_polyps}</td><td>{one.frames}</td></tr>"
        for index, one in enumerate(minutes)
    )
    return f"""<h2>When</h2>
<figure>{_chart(timeline(shown, start, duration, labels), "Sightings")}
<figcaption>Presence: each bar is a sighting, and leads to its entry below.</figcaption></figure>
<figure>{_chart(confidence, "Confidence")}
<figcaption>Confidence of the surest outline, 0 to 1.</figcaption></figure>
<figure>{_chart(area, "Area")}
<figcaption>Area of all outlines, in percent of the frame.</figcaption></figure>
<figure>{_chart(begun, "Sightings a minute")}
<figcaption>Sightings that began in each minute, brief ones included.</figcaption></figure>
<details><summary>Counts a minute, as a table</summary><div class="scroll"><table><thead><tr>
<th scope="col">minute</th><th scope="col">sightings</th><th scope="col">frames with an outline</th>
<th scope="col">frames</th></tr></thead><tbody>{rows}</tbody></table></div></details>"""


def _chart(drawing: str, name: str) -> str:
    """A drawing that scrolls where the screen is too narrow to read it."""
    return f'<div class="chart" tabindex="0" role="region" aria-label="{escape(name)}">{drawing}</div>'


def _entries(
    shown: list[Sighting], labels: list[str], thumbnails: Mapping[int, bytes], run: Examination
) -> str:
    if not shown:
        return "<h2>Sightings</h2><p>None.</p>"
    items = []
    for one in shown:
        picture = ""
        if jpeg := thumbnails.get(one.number):
            data = base64.b64encode(jpeg).decode("ascii")
            alt = f"Frame of sighting {one.number}, outlined"
            picture = f'<img src="data:image/jpeg;base64,{data}" alt="{alt}" loading="lazy">'
        items.append(
            f'<li id="sighting-{one.number}">{picture}<div><strong>{labels[one.number - 1]}</strong>'
            f"<br>{_facts(one, run)}</div></li>"
        )
    return f'<h2>Sightings</h2>\n<ul class="sightings">{"".join(items)}</ul>'


def _facts(one: Sighting, run: Examination) -> str:
    facts = [f"confidence {one.confidence:.2f}"]
    if run.size is None:
        facts.append(f"{one.area:,.0f} pixels")
    else:
        facts.append(f"{100 * one.area / (run.size[0] * run.size[1]):.1f} % of the frame")
        facts.append(f"{one.seconds:.1f} s, {one.frames} frames")
    return " · ".join(facts)


def _label(run: Examination, one: Sighting, *, deidentify: bool) -> str:
    """What an entry is called, escaped."""
    if run.is_stream:
        return f"{one.number}: {clock(one.first_seconds)} to {clock(one.last_seconds)}"
    return f"image {one.first_seconds + 1:.0f}" if deidentify else text_of(one.best.name)


def _brief(brief: list[Sighting], labels: list[str]) -> str:
    rows = "".join(
        f"<tr><td>{labels[one.number - 1]}</td><td>{one.frames}</td><td>{one.confidence:.2f}</td></tr>"
        for one in brief[:MOST_BRIEF]
    )
    more = len(brief) - MOST_BRIEF
    rest = f"<p>{more:,} more stand in the JSON lines.</p>" if more > 0 else ""
    return (
        f"<details><summary>{len(brief):,} brief sightings, below {BRIEF_SECONDS:g} s</summary>"
        '<div class="scroll"><table><thead><tr><th scope="col">sighting</th><th scope="col">frames</th>'
        f'<th scope="col">confidence</th></tr></thead><tbody>{rows}</tbody></table></div>{rest}</details>'
    )


def _latency(run: Examination) -> str:
    """The summary's histograms; a run that wrote none has none."""
    parts = []
    times = (run.summary or {}).get("times_ms")
    for name, pairs in times.items() if isinstance(times, dict) else ():
        counts = _histogram(pairs)
        if counts and name in TIMES:
            p50, p99 = (_percentile(counts, rank) for rank in (50, 99))
            drawn = _merged(counts)
            picture = bars(
                [count for _, count in drawn], [f"{upper:g}" for upper, _ in drawn], name=f"Latency: {name}"
            )
            parts.append(
                f"<figure>{_chart(picture, name)}<figcaption>{name.replace('_', ' ')}: {TIMES[name]}; "
                f"milliseconds, median {p50:g}, 99 % {p99:g}.</figcaption></figure>"
            )
    if not parts:
        parts.append('<p class="soft">The results hold none.</p>')
    return "<h2>Latency</h2>\n" + "".join(parts)


def _histogram(pairs: object) -> list[tuple[float, int]]:
    try:
        found = [(float(upper), int(count)) for upper, count in pairs]  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        return []
    return sorted((upper, count) for upper, count in found if 0 < upper <= 1e5 and 0 < count < 1e12)


def _percentile(counts: list[tuple[float, int]], rank: float) -> float:
    needed, seen = rank / 100 * sum(count for _, count in counts), 0
    for upper, count in counts:
        seen += count
        if seen >= needed:
            return upper
    return counts[-1][0]


def _merged(counts: list[tuple[float, int]], most: int = 60) -> list[tuple[float, int]]:
    """The histogram in `most` bins or fewer up to its 99.9th percentile; the last holds the rest."""
    end = _percentile(counts, 99.9)
    width = max(1, int(-(-end // most)))
    bins = [0] * max(1, int(-(-end // width)))
    for upper, count in counts:
        bins[min(len(bins) - 1, int((upper - 0.01) // width))] += count
    return [((index + 1) * width, count) for index, count in enumerate(bins)]


def _settings(run: Examination, *, deidentify: bool) -> str:
    rows = []
    for name, value in run.header.items():
        if name not in (*NAMES, "schema") or (name in NAMES and not deidentify):
            rows.append(_row(name, value))
    if len(run.thresholds) > 1:
        changes = ", ".join(f"{value:g} from {clock(at)}" for at, value in run.thresholds[:200])
        rows.append(_row("threshold, as it was changed", changes))
    for name, value in (run.summary or {}).items():
        if name == "remarks" and isinstance(value, list):
            if not deidentify and value:  # libraries put names into their messages
                rows.append(_row("remarks", "; ".join(map(str, value[:MOST_REMARKS]))))
        elif name != "times_ms":
            rows.append(_row(name, value))
    table = "".join(rows)
    return (
        f'<h2>Settings, hashes and counts</h2>\n<div class="scroll"><table><tbody>{table}</tbody></table>'
        "</div>"
    )


def _row(name: str, value: Any) -> str:
    if isinstance(value, dict):
        shown = "<br>".join(f"{text_of(key)}: <code>{text_of(one)}</code>" for key, one in value.items())
    else:
        shown = f"<code>{text_of(value)}</code>"
    return f'<tr><th scope="row">{text_of(name)}</th><td>{shown}</td></tr>'


def text_of(value: object, most: int = 2000) -> str:
    """Anybody's text, as text."""
    return escape(printable(str(value))[:most])
