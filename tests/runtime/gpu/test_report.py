"""The page of a run: figures where there are any, "not run" where there are none, and goals."""

import dataclasses
import json
from pathlib import Path

import pytest

from rtpolyp.measure.benchmark.machine import Machine, this_machine
from scripts.gpu.cases import CASES
from scripts.gpu.report import GOALS, file_name, write_results
from scripts.gpu.step import Outcome

SUBJECT = "pranet-if res2net50 352"


@pytest.fixture(scope="module")
def machine() -> Machine:
    return dataclasses.replace(this_machine(), card="NVIDIA H100 80GB HBM3 (sm90)", driver="580.159.04")


def plan(compute: float = 0.9, p99: float = 1.4, ratio: float = 0.97, **more) -> dict:
    figures = {name: {"median": value, "p99": value + 0.1} for name, value in (("h2d", 0.04), ("d2h", 0.02))}
    figures["compute"] = {"median": compute, "p99": compute + 0.05}
    figures["latency"] = {"median": 1.1, "p99": p99}
    rates = {"slots": 1067.0, "bare_loop": 1100.0, "slots_to_bare_loop": ratio}
    return {"figures": figures, "megabytes": 50.5, "build_seconds": 61.0, **rates, **more}


def page(folder: Path, machine: Machine, outcomes: list[Outcome]) -> str:
    paths = write_results(folder, machine, "python scripts/gpu_check.py", CASES, outcomes)
    assert [path.suffix for path in paths] == [".json", ".md"]
    assert len(json.loads(paths[0].read_text())["steps"]) == len(outcomes)
    return paths[1].read_text()


def test_names_of_files(machine: Machine):
    assert file_name(machine) == "gpu-nvidia-h100-80gb-hbm3-sm90"
    bare = dataclasses.replace(machine, card=None, processor="AMD EPYC")
    assert file_name(bare) == "gpu-no-card-amd-epyc"


def test_figures_of_plan_and_baselines(tmp_path: Path, machine: Machine):
    text = page(
        tmp_path,
        machine,
        [
            Outcome(f"plan {SUBJECT} tensorrt", "passed", result=plan()),
            Outcome(f"pytorch-eager {SUBJECT}", "passed", result=plan(p99=9.5)),
            Outcome("plan pranet-if trained tensorrt", "passed", result=plan(parity={"dice": 0.9987})),
        ],
    )
    assert f"| `{SUBJECT}` | 1.100, 1.400 | not run | 1.100, 9.500 | not run | not run |" in text
    assert (
        f"| `{SUBJECT}` tensorrt | 0.900 | 0.950 | 0.040 | 0.020 | 1067 | 1100 | 0.970 | random weights "
        "| 50.5 | 61 |"
    ) in text
    assert "| 0.970 | 0.9987 | 50.5 |" in text
    assert "rehearsal" not in text


@pytest.mark.parametrize(
    ("figures", "verdicts"),
    [
        ({}, ["met", "met", "met"]),
        ({"compute": 1.01, "p99": 1.51, "ratio": 0.94}, ["**missed**"] * 3),
    ],
)
def test_goals(tmp_path: Path, machine: Machine, figures, verdicts):
    text = page(tmp_path, machine, [Outcome(f"plan {SUBJECT} tensorrt", "passed", result=plan(**figures))])
    rows = [line for line in text.splitlines() if line.startswith("| ") and ("≤" in line or "≥" in line)]
    assert len(rows) == len(GOALS)
    of_subject = [row for row in rows if SUBJECT in row]
    assert [row.split("|")[3].strip() for row in of_subject] == verdicts
    assert [row for row in rows if "trained" in row and row.endswith("| not run |  |")]


def test_a_failed_step_leaves_its_reason_and_no_figure(tmp_path: Path, machine: Machine):
    outcomes = [
        Outcome(f"build {SUBJECT} tensorrt", "failed", "a|b: no room", seconds=12),
        Outcome(f"plan {SUBJECT} tensorrt", "failed", "masks agree with Dice 0.9", result=plan()),
    ]
    text = page(tmp_path, machine, outcomes)
    assert f"| build {SUBJECT} tensorrt | failed | 12 | a\\|b: no room |" in text
    assert "0.900" not in text
    assert "masks agree with Dice 0.9" in text


def test_without_a_card_the_page_says_that_it_is_no_result(tmp_path: Path, machine: Machine):
    assert "and is no result" in page(tmp_path, dataclasses.replace(machine, card=None), [])
