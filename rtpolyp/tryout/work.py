"""What runs in a job's process: the overlay, the JSON lines and the report of one upload."""

import contextlib
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from rtpolyp.errors import InputError, RtpolypError
from rtpolyp.imaging.image_file import count_pages
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.report.writer import write_report
from rtpolyp.run import run_file
from rtpolyp.tryout.kinds import IMAGES
from rtpolyp.video.outputs import Outputs

__all__ = ["REPORT", "RESULTS", "overlay_of", "work"]

RESULTS, REPORT = "results.jsonl", "report.html"
MOST_BYTES = 4 << 30  # of one file that a job writes
NICE = 5


def overlay_of(upload: Path) -> Path:
    """Where the overlay of an upload goes."""
    return upload.with_name("overlay.png" if upload.suffix in IMAGES else "overlay.mp4")


def work(connection: Connection, upload: Path, recipe: EngineRecipe) -> None:
    """Run; say (frames done, frames of all or None) as it goes on, and in the end None or what is wrong."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))

    def progress(done: int, total: int | None) -> None:
        connection.send((done, total))

    with contextlib.suppress(OSError):  # the server is gone
        connection.send(_done(upload, recipe, progress))


def _done(upload: Path, recipe: EngineRecipe, progress: Callable[[int, int | None], None]) -> str | None:
    """Do it all; what is wrong, in a line without the name of a folder."""
    try:
        if upload.suffix in IMAGES and (pages := count_pages(upload)) > 1:
            raise InputError(f"{upload}: holds {pages} pictures; save each as a file of its own")
        results = upload.with_name(RESULTS)
        outputs = Outputs(video=overlay_of(upload), json=results)
        run_file(upload, outputs, model=recipe, on_progress=progress)
        write_report(results, upload.with_name(REPORT), video=upload)
    except RtpolypError as exc:
        return str(exc).replace(f"{upload.parent}{os.sep}", "")
    return None
