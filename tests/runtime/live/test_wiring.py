"""What a session is connected to: the scrape, the tone's player, the fallback's engine."""

import json
import os
import socket

import pytest

from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.live.engines import Engines
from rtpolyp.live.ladder import Ladder, rungs_for
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live.session import run_session
from rtpolyp.settings import Settings
from rtpolyp.video.outputs import Outputs
from tests.runtime.live.rehearsal import INTERVAL, MAX_AGE_MS, RATE, Plain, Watcher, rehearse
from tests.runtime.live.scripted import Scripted
from tests.runtime.live.test_metrics import scrape
from tests.runtime.red_disc import SPEC, textured_disc
from tests.runtime.tracking.test_drift import known_spec


def test_metrics_move_while_the_session_runs(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    scrapes = []

    def look(watcher):
        if len(watcher.times) in (5, 12):
            scrapes.append(scrape(f"http://127.0.0.1:{port}/metrics"))
        return len(watcher.times) > 12

    source = Scripted(20, rate=RATE, draw=textured_disc)
    rehearse(source, Plain(SPEC), tmp_path, Watcher(done=look), metrics=f":{port}")
    before, after = scrapes
    for name in ("frames_captured", "frames_displayed", "frames_covered", "inferences"):
        assert 0 < before[f"rtpolyp_{name}_total"] < after[f"rtpolyp_{name}_total"]
    assert after["rtpolyp_frames_displayed_total"] == before["rtpolyp_frames_displayed_total"] + 7
    assert after["rtpolyp_activations_total"] == 1
    assert after["rtpolyp_ai_state{state=on}"] == 1
    assert before["rtpolyp_overlay_age_seconds_count"] < after["rtpolyp_overlay_age_seconds_count"]
    with pytest.raises(OSError, match="refused"):
        scrape(f"http://127.0.0.1:{port}/metrics")


@pytest.mark.skipif(os.name == "nt", reason="the player is a shell script")
@pytest.mark.parametrize(("keys", "sounds"), [({}, 1), ({0: "m"}, 0), ({0: "m", 2: "m"}, 1)])
def test_an_alert_sounds_unless_it_is_muted(tmp_path, monkeypatch, keys, sounds):
    player, played = tmp_path / "pw-play", tmp_path / "played"
    player.write_text(f'#!/bin/sh\necho "$@" >> {played}\n')
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    source = Scripted(3, rate=RATE, draw=textured_disc)
    options = {"tone": True, "alert_delay_ms": 5 * 1000 * INTERVAL}
    watcher, _ = rehearse(source, Plain(SPEC), tmp_path, Watcher(keys=keys), **options)
    assert len(watcher.events("alert")) == 1
    tones = played.read_text().splitlines() if played.exists() else []
    assert [tone.rpartition("/")[2] for tone in tones] == ["alert.wav"] * sounds


def test_the_fallback_takes_over_from_a_slow_network_and_hands_back(tmp_path):
    """The network takes 0.3 s of an interval of 0.2 s, and nothing when it is opened once more."""
    opened = []

    def open_engine(recipe):
        opened.append(recipe.engine)
        return Plain(SPEC)

    recipe, max_age = EngineRecipe("large"), MAX_AGE_MS / 1000
    rungs = rungs_for(recipe, SPEC.size, INTERVAL, max_age, fallback="small")
    engines = Engines(Plain(SPEC, delay_seconds=0.3), Ladder(rungs, INTERVAL, max_age), open_engine)
    states = []

    def look(watcher):
        if not states or engines.state != states[-1]:
            states.append(engines.state)
        return len(states) == 3

    outputs = Outputs(json=tmp_path / "out.jsonl")
    options = LiveOptions(crop="off", max_age_ms=MAX_AGE_MS)
    settings = Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)
    source, display = Scripted(40, rate=RATE, draw=textured_disc), Watcher(done=look)
    run_session(source, engines, settings, outputs, options, display=display)
    assert opened == ["small", "large"]
    assert [(state.state, state.reason) for state in states] == [
        ("on", ""),
        ("reduced", "network small"),
        ("on", ""),
    ]


def test_a_stream_unlike_the_training_sources_is_said_once_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("rtpolyp.tracking.drift.STEP_SECONDS", 0.01)
    monkeypatch.setattr("rtpolyp.tracking.drift.WINDOW", 3)
    spec = known_spec(*(textured_disc(index, SPEC.size) for index in range(8)))
    source = Scripted(2, rate=RATE, draw=lambda index, size: textured_disc(index, size)[..., ::-1].copy())
    watcher, summary = rehearse(source, Plain(spec), tmp_path)
    (told,) = watcher.events("drift")
    assert told["bundle"] == "stub"
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines[0]["drift"] == "watched"
    assert lines[-1]["summary"]["remarks"] == [f"unlike what stub was trained on: {told['how']}"]
    assert lines[-1]["summary"]["session"]["drifts"] >= 2
    assert any("stretches of ten seconds unlike" in line for line in summary.lines)
