"""A live session without faults: results, keys, de-identification, the ladder."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import EngineError, OutputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.live.engines import Engines
from rtpolyp.live.ladder import Ladder, Rung
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live.session import run_session
from rtpolyp.settings import Settings
from rtpolyp.video.contract import Losses
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from tests.runtime.live.rehearsal import RATE, Plain, Watcher, played, rehearse
from tests.runtime.live.scripted import SIZE, Scripted
from tests.runtime.red_disc import SPEC, disc, textured_disc

END_SECONDS = 2.0  # promised
SETTINGS = Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)


def last_frame(path: Path) -> np.ndarray:
    with open_source(path) as source:
        *_, frame = source
    return frame.to_bgr()


def test_results_are_drawn_and_written(tmp_path):
    _, summary = rehearse(Scripted(3, rate=RATE), Plain(SPEC), tmp_path)
    assert summary.written == (tmp_path / "out.mp4", tmp_path / "out.jsonl")
    assert summary.errors == ()
    assert summary.seconds == pytest.approx(3, abs=1)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()[1:-1]]
    assert all(len(line["polyps"]) == 1 for line in lines)
    plain, shown = disc(10, SIZE), last_frame(tmp_path / "out.mp4")
    cyan = (shown[..., 0].astype(int) - shown[..., 2] > 40).sum()  # the pen's blue over red
    assert cyan > 30
    assert (plain[..., 0].astype(int) - plain[..., 2] > 40).sum() == 0
    assert "frames shown in" in summary.lines[0]


def test_keys(tmp_path):
    keys = {4: "o", 6: "space", 8: "s", 9: "space", 10: "o", 11: "q"}
    snapshots = tmp_path / "snapshots"
    watcher, _ = rehearse(
        Scripted(20, rate=RATE), Plain(SPEC), tmp_path, Watcher(keys=keys), snapshots=snapshots
    )
    assert len(watcher.times) == 12  # q
    indices = [frame.index for frame in watcher.pictures]
    assert len(set(indices[7:10])) == 1  # frozen
    assert indices[10] > indices[9] + 1  # and caught up
    (folder,) = snapshots.iterdir()
    said = json.loads((folder / "snapshot.json").read_text())
    assert said["index"] == indices[8]
    assert "FROZEN" in said["badges"]
    assert "OVERLAY OFF" in said["badges"]
    assert len(played(tmp_path / "out.mp4")) >= 11  # recorded while frozen as well


def test_settings_changed_by_key_are_in_the_log_and_beside_the_results(tmp_path):
    keys = {4: "+", 6: "y", 8: "m", 9: "space", 10: "o"}
    done = Watcher(keys=keys, done=lambda watcher: len(watcher.times) > 14)
    watcher, _ = rehearse(Scripted(20, rate=RATE), Plain(SPEC), tmp_path, done)
    told = [
        (event["threshold"], event["style"], event["overlay"], event["muted"])
        for event in map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
        if event["event"] == "settings"
    ]
    assert told == [
        (0.5, "outline", True, False),
        (0.55, "outline", True, False),
        (0.55, "fill", True, False),
        (0.55, "fill", True, True),
        (0.55, "fill", False, True),
    ]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()[1:-1]]
    pressed = watcher.pictures[4].index
    assert {line["threshold"] for line in lines if line["index"] < pressed} == {0.5}
    assert {line["threshold"] for line in lines if line["index"] > pressed + 1} == {0.55}


def test_a_snapshot_is_what_the_screen_showed(tmp_path):
    snapshots = tmp_path / "snapshots"
    keys = Watcher(keys={8: "s", 10: "q"})
    source = Scripted(20, rate=RATE, draw=textured_disc)
    watcher, _ = rehearse(source, Plain(SPEC), tmp_path, keys, snapshots=snapshots)
    (folder,) = snapshots.iterdir()
    said = json.loads((folder / "snapshot.json").read_text())
    assert len(said["polyps"]) == 1
    assert "POLYP #1" in said["badges"]
    assert np.array_equal(cv2.imread(str(folder / "overlay.png")), watcher.pictures[8].to_bgr())


def test_lost_packets_are_counted(tmp_path):
    source = Scripted(2, rate=RATE)
    source.losses = Losses(corrupt_packets=3, skipped_packets=2)
    watcher, summary = rehearse(source, Plain(SPEC), tmp_path)
    (end,) = watcher.events("end")
    assert (end["counts"]["corrupt_packets"], end["counts"]["skipped_packets"]) == (3, 2)
    assert "0 outages of the source, 3 packets corrupt, 2 skipped" in "\n".join(summary.lines)


class Closing(Plain):
    """An engine that is asked for one more frame while it is being closed, as at the end of a pipe."""

    def __init__(self, spec) -> None:
        super().__init__(spec)
        self.closing = threading.Event()

    def submit(self, frames):
        if self.closing.wait(0.4):
            raise EngineError("the engine is closed; open it again")
        return super().submit(frames)

    def close(self) -> None:
        self.closing.set()
        super().close()


def test_the_end_of_the_source_is_no_failure_of_the_engine(tmp_path, caplog):
    watcher, summary = rehearse(Scripted(1, rate=RATE), Closing(SPEC), tmp_path)
    assert "closed" not in caplog.text
    assert summary.errors == ()
    (end,) = watcher.events("end")
    assert end["counts"]["inference_failures"] == 0
    last = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[-1])["summary"]
    assert last["session"]["frames_dropped"] == end["counts"]["frames_dropped"]
    assert last["lost_pictures"] == 0


def test_snapshots_without_a_folder_are_refused(tmp_path, caplog):
    rehearse(Scripted(20, rate=RATE), Plain(SPEC), tmp_path, Watcher(keys={3: "s", 5: "esc"}))
    assert "no snapshot: no folder was given for snapshots" in caplog.text


def bordered(index, size):
    """A name at the left, a lit picture at the right."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[:, 160:] = disc(index, (160, size[1]))
    cv2.putText(picture, "DOE JANE", (10, 60), cv2.FONT_HERSHEY_PLAIN, 1.5, (255, 255, 255), 2)
    return picture


@pytest.mark.parametrize("crop", ["auto", Rect(160, 0, 160, 128)])
def test_deidentified_recordings_are_black_outside(tmp_path, crop):
    source = Scripted(5, rate=RATE, draw=bordered, size=(320, 128))
    raw = tmp_path / "raw.mp4"
    watcher, _ = rehearse(source, Plain(SPEC), tmp_path, crop=crop, deidentify=True, raw=raw)
    name = np.s_[40:64, 8:140]
    assert watcher.pictures[-1].to_bgr()[name].max() > 200  # on the screen it stays
    for path in (raw, tmp_path / "out.mp4"):
        with open_source(path) as recorded:
            assert max(frame.to_bgr()[name].max() for frame in recorded) < 40
    assert last_frame(raw)[40:90, 170:310].max() > 90
    assert "source" not in watcher.events("start")[0]


def test_without_a_certain_border_nothing_identifiable_is_recorded(tmp_path):
    snapshots = tmp_path / "snapshots"
    source = Scripted(4, rate=RATE, size=(320, 256))
    keys = Watcher(keys={15: "s"})
    raw = tmp_path / "raw.mp4"
    rehearse(source, Plain(SPEC), tmp_path, keys, crop="auto", deidentify=True, raw=raw, snapshots=snapshots)
    assert last_frame(raw)[:200].max() < 40
    (folder,) = snapshots.iterdir()
    badges = json.loads((folder / "snapshot.json").read_text())["badges"]
    assert "REC BLANK" in badges


def test_stop_ends_it_in_time_even_when_the_engine_hangs(tmp_path):
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()
    engine = Plain(SPEC, hang_at=range(3, 100))
    begun = time.monotonic()
    outputs, options = Outputs(video=tmp_path / "out.mp4"), LiveOptions(crop="off")
    run_session(Scripted(30, rate=RATE), Engines(engine), SETTINGS, outputs, options, stop=stop)
    assert time.monotonic() - begun < 1.5 + END_SECONDS


def sink_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "rtpolyp-sink"}


def test_an_output_that_cannot_be_opened_fails_and_closes_the_rest(tmp_path):
    engine, before = Plain(SPEC), sink_threads()
    outputs = Outputs(video=tmp_path / "out.mp4", json=tmp_path / "missing" / "out.jsonl")
    with pytest.raises(OutputError, match="no folder"):
        run_session(Scripted(1, rate=RATE), Engines(engine), SETTINGS, outputs, LiveOptions())
    with pytest.raises(EngineError, match="closed"):
        engine.submit(np.zeros((1, SPEC.height, SPEC.width, 3), np.uint8))
    assert sink_threads() <= before


SMALL = replace(SPEC, height=64, width=96)
RUNGS = (Rung("full", EngineRecipe("big")), Rung("input 96x64", EngineRecipe("small"), cost=0.5))


def test_a_slow_engine_is_replaced_by_a_smaller_one(tmp_path):
    """Its results take 0.3 s, of an interval of 0.2 s; the smaller one's come at once."""
    opened = []

    def open_small(recipe):
        opened.append(recipe.engine)
        return Plain(SMALL)

    interval, max_age = 1 / RATE, 0.5
    engines = Engines(
        Plain(SPEC, delay_seconds=0.3), Ladder(RUNGS, interval, max_age), open_engine=open_small
    )
    outputs = Outputs(json=tmp_path / "out.jsonl")
    options = LiveOptions(crop="off", max_age_ms=1000 * max_age)
    done = Watcher(done=lambda watcher: len(watcher.times) > 20)
    run_session(Scripted(30, rate=RATE), engines, SETTINGS, outputs, options, display=done)
    assert opened == ["small"]
    assert engines.current.spec == SMALL
    assert (engines.state.state, engines.state.reason) == ("reduced", "input 96x64")


def test_an_engine_that_does_not_open_leaves_the_first_at_work(tmp_path, caplog):
    def open_nothing(recipe):
        raise EngineError("small: no such bundle")

    interval, max_age = 1 / RATE, 0.5
    first = Plain(SPEC, delay_seconds=0.3)
    engines = Engines(first, Ladder(RUNGS, interval, max_age), open_engine=open_nothing)
    outputs = Outputs(json=tmp_path / "out.jsonl")
    options = LiveOptions(crop="off", max_age_ms=1000 * max_age)
    done = Watcher(done=lambda watcher: len(watcher.times) > 20)
    run_session(Scripted(30, rate=RATE), engines, SETTINGS, outputs, options, display=done)
    assert engines.current is first
    assert engines.state.state == "on"
    assert "small: no such bundle; going on as before" in caplog.text
