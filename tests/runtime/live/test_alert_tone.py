import io
import logging
import os
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.live.alert_tone import AlertTone, render_tone


def install(folder: Path, name: str, script: str) -> None:
    """A player of our own: a shell script of that name."""
    player = folder / name
    player.write_text(f"#!/bin/sh\n{script}\n")
    player.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which players are looked for, still empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_the_tone_is_two_clear_pitches_without_clicks() -> None:
    with wave.open(io.BytesIO(render_tone())) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 44_100)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    assert 0.2 < len(samples) / 44_100 < 0.4
    for half, pitch in zip(np.split(samples, 2), (880, 1175), strict=True):
        loudest = np.abs(np.fft.rfft(half)).argmax() * 44_100 / len(half)
        assert loudest == pytest.approx(pitch, abs=8)
        assert np.abs(half[[0, -1]]).max() < 100
    assert 0.4 < np.abs(samples).max() / 32_768 < 0.6


@pytest.mark.skipif(os.name == "nt", reason="the players are shell scripts")
def test_the_first_player_there_is_gets_the_file(path: Path, tmp_path: Path) -> None:
    install(path, "aplay", f'exec >> {tmp_path}/played; echo "$@"; /usr/bin/head -c 4 "$2"')
    with AlertTone() as tone:
        assert tone.available
        begun = time.perf_counter()
        tone.play()
        assert time.perf_counter() - begun < 0.1
    played = (tmp_path / "played").read_bytes()
    assert played.startswith(b"-q ")
    assert b"alert.wav\nRIFF" in played


@pytest.mark.skipif(os.name == "nt", reason="the players are shell scripts")
def test_pipewire_comes_before_alsa(path: Path, tmp_path: Path) -> None:
    install(path, "aplay", f"echo aplay >> {tmp_path}/played")
    install(path, "pw-play", f"echo pw-play >> {tmp_path}/played")
    with AlertTone() as tone:
        tone.play()
    assert (tmp_path / "played").read_text() == "pw-play\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has a player of its own")
def test_no_player_fails_once_and_aloud(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with AlertTone() as tone:
        for _ in range(3):
            tone.play()
        assert not tone.available
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "aplay" in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="the players are shell scripts")
def test_a_player_that_fails_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(path, "paplay", "echo 'Connection failure: refused' >&2; exit 1")
    with AlertTone() as tone:
        for _ in range(20):
            tone.play()
            time.sleep(0.01)
    assert not tone.available
    assert [record.getMessage() for record in caplog.records] == [
        "no alert tone from now on: Connection failure: refused"
    ]


@pytest.mark.skipif(os.name == "nt", reason="the players are shell scripts")
def test_a_player_that_hangs_holds_nobody_up(path: Path) -> None:
    install(path, "paplay", "exec /bin/sleep 3")
    tone = AlertTone()
    begun = time.perf_counter()
    for _ in range(50):
        tone.play()
    assert time.perf_counter() - begun < 0.2
    tone.close()
    assert time.perf_counter() - begun < 1.5
