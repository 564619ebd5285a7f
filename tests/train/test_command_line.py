"""How the commands of `train` end."""

import os
import signal
import sys
from pathlib import Path

import pytest

from rtpolyp.published_folder import published
from rtpolyp.terminal.command_line import make_app
from train.command_line import run_program


def test_sigterm_takes_away_what_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    app = make_app("python -m train.sample", "A command that is told to end while it writes.")

    @app.default
    def write() -> None:
        with published(tmp_path / "bundle") as staging:
            (staging / "model.onnx").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sys, "argv", ["sample"])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as end:
            run_program(app)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert end.value.code == 130
    assert list(tmp_path.iterdir()) == []
