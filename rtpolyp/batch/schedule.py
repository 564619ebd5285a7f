"""Schedule: which step comes next, what is done, and what was lost and is done again."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rtpolyp.batch.job import Division, Step, Video
from rtpolyp.batch.summary import VideoSummary
from rtpolyp.batch.worker import Analysed, Broken, Divided, Finished

__all__ = ["Progress", "Schedule"]

MOST_LOSSES = 3  # of one step: what ends three workers is no accident


@dataclass(frozen=True)
class Progress:
    """How far a batch is."""

    videos_done: int
    videos: int
    frames: int  # analysed by this run
    bytes_done: float  # of videos, by this run
    bytes_left: float
    finished: str | None = None  # the video that became whole with this step, if any


@dataclass
class _Video:
    division: Division | None = None
    chunks: deque[int] = field(default_factory=deque)  # that nobody works on yet
    running: int = 0  # chunks
    holders: set[int] = field(default_factory=set)  # workers that have worked on it, and so hold its file


class Schedule:
    """Hands out the steps of all videos: what finishes a video first, then chunks, then new videos.

    A worker goes on with a video that it holds where it can, so that a video from an object store is copied
    to few machines. Not for several threads.
    """

    def __init__(self, videos: Sequence[Video], on_progress: Callable[[Progress], None]) -> None:
        self.summaries: dict[str, VideoSummary] = {}
        self.unread: dict[str, str] = {}  # why there is nothing of a video, by its name
        self._on_progress = on_progress
        self._count, self._frames, self._bytes_done = len(videos), 0, 0.0
        self._new = deque(videos)
        self._endings: deque[Step] = deque()
        self._open: dict[str, _Video] = {}
        self._losses: Counter[tuple[str, str, int]] = Counter()
        self._again: deque[Step] = deque()

    @property
    def is_done(self) -> bool:
        """Whether every video is whole or given up."""
        return len(self.summaries) + len(self.unread) == self._count

    def next(self, worker: int) -> Step | None:
        """The next step for a worker; None while all that is left waits for others."""
        for waiting in (self._again, self._endings):
            if waiting:
                return waiting.popleft()
        with_chunks = [one for one in self._open.values() if one.chunks]
        held = [one for one in with_chunks if worker in one.holders]
        if not held and self._new:
            video = self._new.popleft()
            self._open[video.name] = _Video(holders={worker})
            return Step("divide", video)
        for one in held or with_chunks:
            assert one.division is not None
            one.holders.add(worker)
            one.running += 1
            return Step("chunk", one.division.video, one.division, one.chunks.popleft())
        return None

    def done(self, step: Step, result: Divided | Analysed | Finished | Broken) -> None:
        """Take in what a step came to."""
        name, finished = step.video.name, None
        if name in self.unread:
            return  # a chunk of a video that was given up
        if isinstance(result, Divided):
            self._open[name].division = result.division
            self._open[name].chunks.extend(result.waiting)
        elif isinstance(result, Analysed):
            self._open[name].running -= 1
            self._frames += result.frames
            self._bytes_done += _chunk_bytes(step.video, self._open[name].division)
        elif isinstance(result, Finished):
            self.summaries[name] = result.summary
            self._open.pop(name)
            finished = name
        else:
            self._give_up(name, result.problem)
        one = self._open.get(name)
        if one is not None and one.division is not None and not one.chunks and not one.running:
            self._endings.append(Step("finish", one.division.video, one.division))
        self._tell(finished)

    def lost(self, step: Step, why: str) -> None:
        """The worker of a step is gone, or its engine failed: the step is done again, by another."""
        if step.video.name in self.unread:
            return
        key = step.video.name, step.kind, step.chunk
        self._losses[key] += 1
        if self._losses[key] < MOST_LOSSES:
            self._again.append(step)
        else:
            self._give_up(step.video.name, f"{step.video.name}: {MOST_LOSSES} workers failed at it ({why})")
            self._tell(None)

    def _give_up(self, name: str, problem: str) -> None:
        self.unread[name] = problem
        self._open.pop(name, None)
        self._again = deque(step for step in self._again if step.video.name != name)

    def _tell(self, finished: str | None) -> None:
        left = float(sum(video.size_bytes for video in self._new))
        for one in self._open.values():
            if one.division is not None:
                left += _chunk_bytes(one.division.video, one.division) * (len(one.chunks) + one.running)
        done = len(self.summaries) + len(self.unread)
        self._on_progress(Progress(done, self._count, self._frames, self._bytes_done, left, finished))


def _chunk_bytes(video: Video, division: Division | None) -> float:
    """About how much of the file a chunk is."""
    return video.size_bytes / len(division.chunks) if division is not None else 0.0
