"""`rtpolyp bench` as a user calls it, with a tiny network, a short clip and real codecs."""

import json
from pathlib import Path

import cv2
import pytest

import rtpolyp.cli.bench as bench_command
import rtpolyp.inference.bundle as bundles
from rtpolyp.cli import run_command_line
from rtpolyp.inference.bundle import load_bundle
from tests.runtime.red_disc import disc_clip
from tests.runtime.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shelf")
    write_tiny_bundle(folder / "tiny")
    spec = folder / "tiny" / "spec.json"
    spec.write_text(spec.read_text().replace('"network": "tiny"', '"network": "unet-if"'))
    return folder


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory, shelf: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path_factory.getbasetemp() / "calibration"))
    monkeypatch.setattr(bundles, "SHELVES", (shelf,))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return disc_clip(tmp_path / "disc.mp4", frames=15)


def bench(*arguments: object) -> int:
    brief = () if "--duration" in arguments else ("--duration", 0.05)
    return run_command_line(["bench", "--precision", "fp32", *map(str, [*brief, *arguments])])


def test_it_prints_and_writes_engine_and_stream(clip, tmp_path, capsys):
    arguments = ("--engine", "tiny", "--video", clip, "--paced", 8)
    assert bench(*arguments, "--json", "new.json", "--histogram", "latency.png") == 0
    said = capsys.readouterr().out
    for words in ("Throughput", "Latency", "Enqueue Time", "Compute Time", "preprocess", "postprocess"):
        assert words in said
    for words in ("decode", "queue wait", "overlay", "encode", "Glass-to-glass", "frames dropped", "late"):
        assert words in said
    for words in ("p99.9", "median", "openvino fp32", "core-milliseconds a frame", "steal"):
        assert words in said
    report = json.loads((tmp_path / "new.json").read_text())
    (network,) = report["networks"]
    assert network["digest"] == load_bundle("tiny").digest
    names = [measurement["name"] for measurement in network["measurements"]]
    assert names[0] == "engine, one frame at a time"
    assert names[1].startswith("engine, ")
    assert names[1].endswith(" in flight")
    assert names[2:] == ["end to end, as fast as it goes", "end to end, live at 8 frames/s"]
    assert report["clip"].startswith("disc.mp4, SHA-256 ")
    assert cv2.imread(str(tmp_path / "latency.png")).shape[0] > 0


def test_without_arguments_it_renders_its_own_clip(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench_command, "CLIP_SECONDS", 0.2)
    monkeypatch.setattr(bench_command, "DEFAULT_BUNDLE", "tiny")
    assert bench("--json", "new.json") == 0
    assert "end to end, as fast as it goes" in capsys.readouterr().out
    assert json.loads((tmp_path / "new.json").read_text())["clip"] == "phantom, seed 0, 1280x1024, 0.2 s"


def scaled(report: Path, output: str, factor: float) -> str:
    """An old report in which everything took `factor` times as long."""
    content = json.loads(report.read_text())
    for network in content["networks"]:
        for measurement in network["measurements"]:
            for name, figure in measurement["figures"].items():
                scale = 1 / factor if name == "throughput" else factor
                figure["median"] *= scale
                figure["blocks"] = [scale * block for block in figure["blocks"]]
    Path(output).write_text(json.dumps(content))
    return output


def test_the_exit_code_says_whether_it_became_slower(clip, tmp_path, capsys):
    arguments = ("--engine", "tiny", "--video", clip, "--duration", 0.3)
    assert bench(*arguments, "--json", "new.json") == 0
    faster_then = scaled(tmp_path / "new.json", "faster.json", 1 / 50)
    slower_then = scaled(tmp_path / "new.json", "slower.json", 50)
    assert bench(*arguments, "--compare", faster_then) == 1
    assert "slower" in capsys.readouterr().out
    assert bench(*arguments, "--compare", slower_then, "--fail-above", 5) == 0
    assert "faster" in capsys.readouterr().out


def test_another_thread_count_is_refused(clip, capsys):
    assert bench("--engine", "tiny", "--video", clip, "--threads", 1, "--json", "one.json") == 0
    assert bench("--engine", "tiny", "--video", clip, "--threads", 7, "--compare", "one.json") == 2
    said = capsys.readouterr()
    assert "measured with threads 1, this run with 7" in said.err
    assert said.out.count("one frame at a time") == 1  # refused before the second run


def test_saturation_is_searched_for(clip, capsys, tmp_path):
    assert bench("--engine", "tiny", "--video", clip, "--saturation", "--json", "new.json") == 0
    assert "highest live rate that it keeps up with" in capsys.readouterr().out
    trials = json.loads((tmp_path / "new.json").read_text())["networks"][0]["saturation"]["trials"]
    assert 1 <= len(trials) <= 7


def test_a_network_is_found_by_its_name(clip, capsys):
    assert bench("--net", "unet-if", "--video", clip) == 0
    assert "tiny: unet-if" in capsys.readouterr().out


def test_all_runs_what_there_is_and_names_what_is_missing(clip, capsys):
    assert bench("--all", "--video", clip) == 0
    said = capsys.readouterr().out
    assert "tiny: unet-if" in said
    assert said.count("no bundle to run") == 9
    assert "fcn: no bundle to run; train and export one" in said
    assert "unet-if: no bundle" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--net", "fcn"), "net fcn: no bundle of it; train it"),
        (("--net", "no-such-net"), "net 'no-such-net' is unknown; there are: fcn, fcn-if, unet"),
        (("--net", "fcn", "--all"), "exclude each other"),
        (("--engine", "absent"), "absent: no such bundle"),
        (("--duration", "0"), "duration 0: give seconds above 0"),
        (("--fail-above", "-1"), "fail-above -1: give percent"),
        (("--compare", "absent.json"), "absent.json: cannot be read"),
        (("--json", "nowhere/new.json"), "no folder nowhere"),
        (("--video", "absent.mp4"), "absent.mp4: no such file"),
        (("--video", "disc.mp4", "--paced", "0"), "0 frames/s is no rate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_options_are_one_line_and_exit_code_2(clip, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(bench_command, "DEFAULT_BUNDLE", "tiny")
    assert bench(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
