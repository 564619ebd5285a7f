"""`rtpolyp run --serve`, with an address and without."""

import pytest

from rtpolyp.cli import _with_addresses, run_command_line
from tests.runtime.red_disc import disc_clip


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ("run 0 --serve", "run 0 --serve=127.0.0.1:8080"),
        ("run --serve 0", "run --serve=127.0.0.1:8080 0"),
        ("run 0 --serve :9000 --mute", "run 0 --serve :9000 --mute"),
        ("run 0 --serve --display", "run 0 --serve=127.0.0.1:8080 --display"),
        ("run --serve rtsp://tower:554/a", "run --serve=127.0.0.1:8080 rtsp://tower:554/a"),
        ("run 0 --serve 0.0.0.0:80 --json a", "run 0 --serve 0.0.0.0:80 --json a"),
        ("run 0 --serve=[::1]:80", "run 0 --serve=[::1]:80"),
    ],
)
def test_the_address_may_be_left_out(line, tokens):
    assert list(_with_addresses(line.split())) == tokens.split()


def test_what_is_no_address_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    clip = disc_clip(tmp_path / "a.mp4", frames=3)
    assert run_command_line(["run", str(clip), "--serve=nowhere"]) == 2
    assert "--serve nowhere: not an address; give :PORT or HOST:PORT" in capsys.readouterr().err


def test_a_file_that_waits_for_each_result_has_no_live_page(tmp_path, capsys):
    clip = disc_clip(tmp_path / "a.mp4", frames=3)
    assert run_command_line(["run", str(clip), "--every-frame", "--serve"]) == 2
    assert "--serve is for live sources" in capsys.readouterr().err
