"""AlertTone: two short beeps by whatever player the system has."""

import io
import logging
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import Self

import numpy as np

from rtpolyp.live.worker import Worker

__all__ = ["AlertTone", "render_tone"]

log = logging.getLogger(__name__)

RATE = 44_100  # samples per second
PITCHES = 880.0, 1174.7  # hertz: a5, d6; rising, unlike the alarms of monitors and pumps
BEEP_SECONDS, FADE_SECONDS = 0.12, 0.01  # fades, or the ends would click
LOUDNESS = 0.5  # of full scale
PLAYERS = (["pw-play"], ["paplay"], ["aplay", "-q"], ["afplay"])  # PipeWire, PulseAudio, ALSA, macOS
PLAY_SECONDS = 2.0  # a player that takes longer hangs


class AlertTone:
    """Plays the alert's tone in the background; a context manager.

    Without a player, or when it fails, that is said once, and alerts stay silent.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rtpolyp-tone-")
        self._file = Path(self._folder.name) / "alert.wav"
        self._file.write_bytes(render_tone())
        self._player = next((player for player in PLAYERS if shutil.which(player[0])), None)
        self.available = sys.platform == "win32" or self._player is not None
        if not self.available:
            names = ", ".join(player[0] for player in PLAYERS)
            log.warning("no alert tone: there is none of %s; install one, or leave the tone off", names)
        self._worker = Worker("rtpolyp-tone", 1, self._folder.cleanup)

    def play(self) -> None:
        """Start the tone and return at once; while one sounds, at most one more waits."""
        if self.available:
            self._worker.submit(self._play)

    def close(self) -> None:
        """Let the tone end, within a second; later calls do nothing."""
        self._worker.close(1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _play(self) -> None:
        if not self.available:
            return
        try:
            if sys.platform == "win32":
                import winsound

                winsound.PlaySound(str(self._file), winsound.SND_FILENAME)
            else:
                assert self._player is not None
                subprocess.run(
                    [*self._player, str(self._file)], capture_output=True, check=True, timeout=PLAY_SECONDS
                )
        except (OSError, RuntimeError, subprocess.SubprocessError) as exc:
            self.available = False
            said = (getattr(exc, "stderr", b"") or b"").decode(errors="replace").strip().splitlines()
            log.warning("no alert tone from now on: %s", said[0] if said else exc)


def render_tone() -> bytes:
    """The tone as a WAV file: mono, 16 bits."""
    time = np.arange(round(BEEP_SECONDS * RATE)) / RATE
    fade = np.clip(np.minimum(time, BEEP_SECONDS - time) / FADE_SECONDS, 0, 1)
    samples = np.concatenate([LOUDNESS * fade * np.sin(2 * np.pi * pitch * time) for pitch in PITCHES])
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((32_767 * samples).astype("<i2").tobytes())
    return content.getvalue()
