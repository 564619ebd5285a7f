"""Every step is done once, whatever is lost on the way; what keeps failing is given up alone."""

from fractions import Fraction

import pytest

from rtpolyp.batch.job import Chunk, Division, Video
from rtpolyp.batch.schedule import MOST_LOSSES, Progress, Schedule
from rtpolyp.batch.summary import VideoSummary
from rtpolyp.batch.worker import Analysed, Broken, Divided, Finished


def videos(count: int) -> list[Video]:
    return [Video(f"{index}.mp4", f"/videos/{index}.mp4", 1000, "1") for index in range(count)]


def divided(video: Video, chunks: int = 3, done: int = 0) -> Divided:
    cuts = tuple(Chunk(0, start, None) for start in range(chunks))
    division = Division(video, cuts, 0, Fraction(1, 25), "off", {}, 75)
    return Divided(division, tuple(range(done, chunks)))


class Rehearsal:
    """Workers that do everything at once, and note it."""

    def __init__(self, count: int, **divided: int) -> None:
        self.told: list[Progress] = []
        self.schedule = Schedule(videos(count), self.told.append)
        self.done: list[tuple[str, str, int]] = []
        self._divided = divided

    def step(self, worker: int = 0, *, lose: bool = False) -> bool:
        step = self.schedule.next(worker)
        if step is None:
            return False
        if lose:
            self.schedule.lost(step, "its machine was lost")
            return True
        self.done.append((step.video.name, step.kind, step.chunk))
        if step.kind == "divide":
            self.schedule.done(step, divided(step.video, **self._divided))
        elif step.kind == "chunk":
            self.schedule.done(step, Analysed(25))
        else:
            self.schedule.done(step, Finished(VideoSummary(step.video.name)))
        return True


def test_each_chunk_is_done_once_and_then_its_video_is_finished():
    run = Rehearsal(2)
    while not run.schedule.is_done:
        assert run.step()
    assert len(run.done) == len(set(run.done)) == 2 * (1 + 3 + 1)
    assert [kind for name, kind, _ in run.done if name == "0.mp4"] == ["divide", *["chunk"] * 3, "finish"]
    assert run.told[-1].videos_done == 2
    assert run.told[-1].bytes_left == 0
    assert run.told[-1].bytes_done == pytest.approx(2000)


def test_what_an_earlier_run_has_written_is_not_done_again():
    run = Rehearsal(1, done=2)
    while not run.schedule.is_done:
        assert run.step()
    assert [kind for _, kind, _ in run.done] == ["divide", "chunk", "finish"]


def test_a_lost_step_is_done_again():
    run = Rehearsal(1)
    run.step()
    run.step(lose=True)
    while not run.schedule.is_done:
        assert run.step(1)
    assert sorted(chunk for _, kind, chunk in run.done if kind == "chunk") == [0, 1, 2]


def test_a_worker_goes_on_with_the_video_that_it_holds():
    run = Rehearsal(2)
    run.step(0)
    run.step(1)
    steps = [run.schedule.next(worker) for worker in (0, 1, 0, 1)]
    assert [step.video.name for step in steps] == ["0.mp4", "1.mp4", "0.mp4", "1.mp4"]


def test_what_ends_every_worker_is_given_up_and_the_rest_goes_on():
    run = Rehearsal(2)
    run.step()
    for _ in range(MOST_LOSSES):
        run.step(lose=True)
    assert list(run.schedule.unread) == ["0.mp4"]
    assert "3 workers failed at it (its machine was lost)" in run.schedule.unread["0.mp4"]
    while not run.schedule.is_done:
        assert run.step()
    assert list(run.schedule.summaries) == ["1.mp4"]


def test_a_broken_video_is_told_and_the_rest_goes_on():
    run = Rehearsal(2)
    step = run.schedule.next(0)
    run.schedule.done(step, Broken("0.mp4: not a video; convert it"))
    while not run.schedule.is_done:
        assert run.step()
    assert run.schedule.unread == {"0.mp4": "0.mp4: not a video; convert it"}
    assert list(run.schedule.summaries) == ["1.mp4"]
