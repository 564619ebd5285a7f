"""The command and its reports: limits, verdicts, two reports beside each other, and what it refuses."""

import dataclasses
import json
from html import escape
from pathlib import Path

import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.errors import InputError
from rtpolyp.verify import charts
from rtpolyp.verify.figure import KINDS, figure, limited, parse_limits
from rtpolyp.verify.report import compared
from rtpolyp.video.source import open_source
from tests.runtime.red_disc import disc_clip
from tests.runtime.tiny_bundle import write_tiny_bundle

LIVE = {
    *("picture_delay", "display_gap", "not_shown", "mark_age", "recorded_time"),
    *("fault_gap", "fault_outage"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report's page of a clip of one's own, by the command line; JSON beside it."""
    folder = tmp_path_factory.mktemp("verify")
    clip = disc_clip(folder / "own.mp4", frames=12)
    write_tiny_bundle(folder / "tiny")
    page = folder / "report.html"
    tokens = [
        "verify-video",
        clip,
        "--engine",
        folder / "tiny",
        "--backend",
        "openvino",
        "--precision",
        "fp32",
    ]
    assert run_command_line([*map(str, tokens), "-o", str(page), "--path", "file", "--limit", "psnr=10"]) == 0
    return page


def test_the_report_names_every_figure_with_method_sample_and_limit(report: Path):
    content = json.loads(report.with_suffix(".json").read_text())
    figures = {one["name"]: one for one in content["figures"]}
    kinds = {name.partition(":")[0] for name in figures}
    assert kinds == KINDS.keys() - LIVE - {"mark_end", "unmarked"}  # those two need the clip's own masks
    assert all(one["method"] and one["sample"] for one in figures.values())
    assert (figures["psnr"]["limit"], figures["psnr"]["passed"]) == (10, True)
    assert figures["vif"]["passed"] is None
    assert figures["mark_onset"]["value"] is None
    assert content["bundle"]["name"] == "tiny"
    assert len(content["files"]["recording"]["sha256"]) == 64
    assert content["machine"]["versions"]["rtpolyp"]


def test_the_page_shows_them(report: Path):
    page = report.read_text()
    assert "Every limit is kept." in page
    assert "<script" not in page
    figures = json.loads(report.with_suffix(".json").read_text())["figures"]
    assert all(escape(one["title"]) in page for one in figures)


def test_two_reports_stand_beside_each_other(report: Path, capsys):
    tokens = ["verify-video", "--compare", str(report.with_suffix(".json"))]
    assert run_command_line([*tokens, str(report.with_suffix(".json"))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(one for one in lines if "PSNR" in one).split()[-1] == "+0"
    assert any("Bundle" in one and "tiny" in one for one in lines)


def test_two_reports_of_different_clips_say_so(report: Path, tmp_path: Path):
    other = json.loads(report.with_suffix(".json").read_text())
    other["files"]["clip"]["sha256"] = "0" * 64
    other["figures"] = [one for one in other["figures"] if one["name"] != "vif"]
    (tmp_path / "other.json").write_text(json.dumps(other))
    rows = {row[0]: row[1:] for row in compared(report.with_suffix(".json"), tmp_path / "other.json")}
    assert rows["Clip"][-1] == "differs"
    assert rows["VIF outside the marks, after encoding"][1:] == ("not measured", "–")
    (tmp_path / "other.json").write_text(json.dumps({**other, "machine": {}}))
    with pytest.raises(InputError, match="not a whole report"):
        compared(tmp_path / "other.json", tmp_path / "other.json")


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["--limit", "pnsr=40"], "--limit 'pnsr=40' has no known name; did you mean psnr"),
        (["--limit", "psnr=high"], "--limit 'psnr=high' has no number"),
        (["--seconds", "900"], "--seconds 900 is outside"),
        (["-o", "report.pdf"], "report.pdf: a report is a web page"),
        (["-o", "nowhere/report.html"], "nowhere: no such folder"),
        (["nowhere.mp4"], "nowhere.mp4"),
        (["--compare", "a.json", "b.json"], "a.json: cannot be read"),
    ],
)
def test_what_it_refuses(tokens: list[str], said: str, capsys, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "tiny")
    engine = (
        [] if "--compare" in tokens else ["--engine", "tiny", "--backend", "openvino", "--precision", "fp32"]
    )
    assert run_command_line(["verify-video", *tokens, *engine]) == 2
    assert capsys.readouterr().err.startswith(f"rtpolyp: {said}")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_another_file_is_no_report(tmp_path: Path, capsys):
    (tmp_path / "a.json").write_text('{"figures": []}')
    assert (
        run_command_line(["verify-video", "--compare", str(tmp_path / "a.json"), str(tmp_path / "a.json")])
        == 2
    )
    assert "no report of this version" in capsys.readouterr().err


def test_a_limit_that_is_not_kept_and_one_that_cannot_be_judged():
    figures = [
        figure("psnr", 41.0, "9 frames"),
        figure("vif", None, "another size"),
        figure("dropped", 1, "9"),
    ]
    judged = limited(figures, parse_limits(["psnr=42", "vif=0.5"]))
    assert [one.passed for one in judged] == [False, False, False]
    assert [one.passed for one in limited(figures, {"psnr": 41.0})] == [True, None, False]
    with pytest.raises(InputError, match="has no number"):
        parse_limits(["psnr=nan"])


@pytest.mark.parametrize("name", charts.CHARTS)
def test_a_chart_tells_its_own_matrix_and_range_from_others(name: str, tmp_path: Path):
    """Without a run between: the chart itself is right, and wrong below any other tags."""
    colour = charts.CHARTS[name]
    charts._write(tmp_path / "chart.mp4", colour)
    assert charts.chart_error(tmp_path / "chart.mp4") < 2.5  # rounding to bytes, of 4:2:0 and back
    with open_source(tmp_path / "chart.mp4") as source:
        frame = next(iter(source))
    other = dataclasses.replace(colour, matrix=1 if colour.matrix != 1 else 6)
    frame.native.colorspace = other.matrix
    wrong = frame.to_bgr().astype(float) - charts.chart()
    assert abs(charts._patches(wrong)).max() > KINDS["chart_error"].limit
