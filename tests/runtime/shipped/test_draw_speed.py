"""scripts/draw_speed.py: measures, completes the log by what it lacks, and draws from its file alone."""

import itertools
import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.terminal.command_line import run_app
from scripts import score_shipped
from scripts.draw_speed import app
from scripts.shipped.log import read
from scripts.shipped.picture import draw
from scripts.shipped.published import PUBLISHED
from scripts.shipped.speed import PART, Point

SVG = "{http://www.w3.org/2000/svg}"


def point(bundle: str, precision: str, side: int, dice: float, rate: float) -> Point:
    return Point(bundle, "digest", precision, side, side == 288, dice, rate, rate, rate, "an engine")


def texts(svg: str) -> dict[str, ET.Element]:
    return {element.text or "": element for element in ET.fromstring(svg).iter(f"{SVG}text")}


def test_measuring_logs_what_was_not_scored_and_drawing_needs_the_file_alone(
    data: Path, tiny: Path, tmp_path: Path
) -> None:
    log, results, picture = tmp_path / "test_log.csv", tmp_path / "speed.json", tmp_path / "speed.svg"
    assert run_app(score_shipped.app, [str(tiny), "--data", str(data), "-o", str(tmp_path)]) == 0
    files = ["--log", str(log), "--results", str(results), "-o", str(picture)]
    second = shutil.copytree(tiny, tmp_path / "second")
    measure = ["--measure", "--engine", str(tiny), "--engine", str(second), "--side", "64"]
    measure += ["--rounds", "1", "--seconds", "0.01"]
    assert run_app(app, [*measure, "--data", str(data), *files]) == 0
    precisions = OpenVinoEngine.precisions(load_bundle(tiny))
    points = json.loads(results.read_text())["points"]
    measured = [(point["precision"], point["side"]) for point in points]
    own = [(precision, 96) for precision in precisions]
    assert measured == [*itertools.product(precisions, (64, 96)), *own]  # other sizes of the first alone
    logged = {
        (row["precision"], min(int(row["width"]), int(row["height"]))): float(row["dice"])
        for row in read(log)
        if row["part"] == PART
    }
    assert logged == {(p["precision"], p["side"]): p["dice"] for p in points}
    assert all(0 < p["slowest"] <= p["frames_per_second"] <= p["fastest"] for p in points)
    before = log.read_bytes()
    assert run_app(app, [*measure, "--data", str(data), *files]) == 0
    assert log.read_bytes() == before  # nothing is scored twice
    picture.unlink()
    assert run_app(app, files) == 0
    assert "TINY" in picture.read_text().upper()


def test_measuring_before_scoring_fails(data: Path, tiny: Path, tmp_path: Path, capsys) -> None:
    arguments = ["--measure", "--engine", str(tiny), "--data", str(data), "--log", str(tmp_path / "log.csv")]
    assert run_app(app, [*arguments, "--side", "96"]) == 2
    assert "was not scored on kvasir-test in fp32; first run python scripts/score_shipped.py tiny" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "log.csv").exists()


def test_the_picture_names_every_bundle_precision_size_and_published_network() -> None:
    ours = [
        point("one", "int8", 192, 0.92, 140),
        point("one", "int8", 288, 0.94, 80),
        point("one", "fp32", 288, 0.94, 30),
        point("other", "int8", 288, 0.93, 200),
    ]
    said = texts(draw(ours, "two cores of a processor"))
    assert {"one INT8", "FP32", "other INT8", "192", "288"} <= said.keys()
    assert any("two cores of a processor" in text for text in said)
    for network in PUBLISHED:
        assert any(text.startswith(network.name) for text in said)
        assert any(text.endswith(network.note) for text in said)


def test_faster_is_further_right_and_better_is_higher() -> None:
    circles = [
        (float(circle.get("cx")), float(circle.get("cy")))
        for circle in ET.fromstring(
            draw([point("a", "int8", 192, 0.92, 140), point("a", "int8", 288, 0.94, 80)], "")
        ).iter(f"{SVG}circle")
    ]
    (fast_x, low_y), (slow_x, high_y) = circles
    assert fast_x > slow_x
    assert low_y > high_y


def test_drawing_without_measurements_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["--results", str(tmp_path / "none.json")]) == 2
    assert "none.json: no measurements of this script" in capsys.readouterr().err
    (tmp_path / "other.json").write_text('{"machine": {}}')
    assert run_app(app, ["--results", str(tmp_path / "other.json")]) == 2
    assert "make them by --measure" in capsys.readouterr().err
