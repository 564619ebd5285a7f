"""Jobs: uploads that wait for their turn, one at a time, and what became of them."""

import asyncio
import multiprocessing
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.tryout.work import REPORT, RESULTS, overlay_of, work

__all__ = ["Job", "Jobs"]

MOST = 8  # uploads that are held, with what was made of them
KEEP_SECONDS = 3600.0
POLL_SECONDS = 0.1
TOO_LONG = "took longer than {:.0f} minutes; cut it into parts, or run it with rtpolyp run"


@dataclass
class Job:
    """One upload; its folder is its own."""

    key: str  # nobody can guess it
    folder: Path
    upload: Path | None = None  # once it is whole
    state: str = "uploading"  # then waiting, running, and done or failed
    done: int = 0  # frames
    total: int | None = None
    error: str = ""
    begun: float = field(default_factory=time.monotonic)
    removed: bool = False

    def file(self, name: str) -> Path | None:
        """What was made of it, by one of three names; None where there is no such thing."""
        if self.state != "done" or self.upload is None:
            return None
        made = {
            "overlay": overlay_of(self.upload),
            "results": self.folder / RESULTS,
            "report": self.folder / REPORT,
        }
        return made.get(name)


class Jobs:
    """Runs jobs one after another, each in a process that is killed when it takes too long; for the loop.

    Everything lies in a temporary folder, which goes with `close`; a job's goes with `remove`, or after an
    hour.
    """

    def __init__(
        self, recipe: EngineRecipe, *, most_seconds: float, keep_seconds: float = KEEP_SECONDS
    ) -> None:
        self._recipe, self._most, self._keep = recipe, most_seconds, keep_seconds
        self._root = Path(tempfile.mkdtemp(prefix="rtpolyp-serve-"))
        self._jobs: dict[str, Job] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work, on the running event loop."""
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._forget())]

    async def close(self) -> None:
        """End what runs and delete everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        shutil.rmtree(self._root, ignore_errors=True)

    def begin(self) -> Job | None:
        """A place for a new upload; None where too many are held."""
        if len(self._jobs) >= MOST:
            return None
        key = secrets.token_urlsafe(16)
        job = Job(key, Path(tempfile.mkdtemp(dir=self._root)))
        self._jobs[key] = job
        return job

    def get(self, key: str) -> Job | None:
        """The job of a key."""
        return self._jobs.get(key)

    def remove(self, job: Job) -> None:
        """Forget a job and delete its files; what runs of it is killed."""
        job.removed = True
        self._jobs.pop(job.key, None)
        shutil.rmtree(job.folder, ignore_errors=True)

    def place(self, job: Job) -> int:
        """How many are before it."""
        order = [one for one in self._jobs.values() if one.state in ("running", "waiting")]
        return order.index(job) if job in order else 0

    async def _work(self) -> None:
        while True:
            job = next((one for one in self._jobs.values() if one.state == "waiting"), None)
            if job is None:
                await asyncio.sleep(POLL_SECONDS)
                continue
            job.state = "running"
            job.error = await self._run(job)
            job.state = "failed" if job.error else "done"
            if job.removed:
                shutil.rmtree(job.folder, ignore_errors=True)  # of what was written until it was killed

    async def _run(self, job: Job) -> str:
        """What is wrong; empty where nothing is."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=work, args=(theirs, job.upload, self._recipe)
        )  # may start an engine's
        with ours:
            with theirs:
                await asyncio.get_running_loop().run_in_executor(None, process.start)
            try:
                return await self._follow(job, process, ours.poll, ours.recv)
            finally:
                process.kill()
                process.join()

    async def _follow(
        self, job: Job, process: Any, poll: Callable[[], bool], receive: Callable[[], Any]
    ) -> str:
        end = time.monotonic() + self._most
        while not job.removed:
            try:
                while poll():
                    message = receive()
                    if message is None or isinstance(message, str):
                        return message or ""
                    job.done, job.total = message
            except EOFError:
                return "the network's process ended; try again, or a smaller file"
            if time.monotonic() > end:
                return TOO_LONG.format(self._most / 60)
            await asyncio.sleep(POLL_SECONDS)
        return "removed"

    async def _forget(self) -> None:
        while True:
            for job in list(self._jobs.values()):
                if time.monotonic() - job.begun > self._keep:
                    self.remove(job)
            await asyncio.sleep(min(10.0, self._keep / 4))
