"""write_report: what `rtpolyp report` does, as a function."""

from collections.abc import Callable
from pathlib import Path

from rtpolyp.errors import OutputError
from rtpolyp.report.examination import read_examination
from rtpolyp.report.page import render_page
from rtpolyp.report.thumbnails import take_thumbnails
from rtpolyp.video.file_faults import write_error
from rtpolyp.video.output_paths import prepare_file

__all__ = ["write_report"]


def write_report(
    results: str | Path,
    output: str | Path,
    *,
    video: str | Path | None = None,
    deidentify: bool = False,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Write one self-contained HTML page about a run from the JSON lines that it wrote.

    With `video`, what the run was about or its recording, sightings have thumbnails. With `deidentify` the
    page names no file, and thumbnails show the endoscope's picture alone. `on_progress` is called with the
    number of frames read, then with those of the sightings that have a thumbnail and that shall have one.

    Raises InputError for results or a video that cannot be read, OutputError where the page cannot be
    written.

    >>> write_report("out.jsonl", "report.html", video="video.mp4")  # doctest: +SKIP
    """
    results, output = Path(results), Path(output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{output}: a report is a web page; name the file *.html")
    prepare_file(output)
    run = read_examination(results, on_progress)
    thumbnails = {}
    if video is not None:
        thumbnails = take_thumbnails(Path(video), run, deidentify=deidentify, on_progress=on_progress)
    page = render_page(run, thumbnails, deidentify=deidentify)
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as exc:
        raise write_error(output, exc) from exc
