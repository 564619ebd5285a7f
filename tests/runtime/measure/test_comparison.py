import csv
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.comparison import FIGURES, compare, read_figures
from rtpolyp.measure.evaluation import evaluate_engine, load_pairs
from rtpolyp.measure.report import write_csv
from rtpolyp.measure.statistics import bootstrap_difference


def write(path: Path, scores: dict[str, float], groups: dict[str, str] | None = None) -> Path:
    """A per-frame CSV in which every figure of a frame is the same."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "group", *FIGURES])
        for name, score in scores.items():
            writer.writerow([name, (groups or {}).get(name, name), *[f"{score:.6f}"] * len(FIGURES)])
    return path


def frames(seed: int, count: int = 30) -> dict[str, float]:
    return {f"f{i}": value for i, value in enumerate(np.random.default_rng(seed).uniform(0.5, 1, count))}


def test_compare_pairs_frames_by_name(tmp_path: Path) -> None:
    theirs = frames(0)
    ours = {name: score + 0.01 for name, score in reversed(theirs.items())}  # in another order
    first, second = (
        read_figures(write(tmp_path / f"{name}.csv", scores))
        for name, scores in (("ours", ours), ("theirs", theirs))
    )
    result = compare([first], [second])
    assert result.difference == pytest.approx(0.01, abs=1e-6)
    assert result.interval == pytest.approx((0.01, 0.01), abs=1e-6)  # pairing leaves no spread
    assert result.by_group == {}


def test_compare_resamples_seeds_and_groups(tmp_path: Path) -> None:
    groups = {f"f{i}": f"sequence {i // 3}" for i in range(30)}
    runs = [read_figures(write(tmp_path / f"{seed}.csv", frames(seed), groups)) for seed in range(4)]
    result = compare(runs[:2], runs[2:], "iou")
    ours, theirs = (np.stack([run.values["iou"] for run in pair]) for pair in (runs[:2], runs[2:]))
    assert result.interval == bootstrap_difference(ours, theirs, runs[0].groups)
    assert result.by_seed == pytest.approx((ours - theirs).mean(axis=1))
    assert result.difference == pytest.approx(np.mean(result.by_seed))


def test_few_groups_are_told_one_by_one(tmp_path: Path) -> None:
    groups = {f"f{i}": f"sequence {i % 3}" for i in range(30)}
    first, second = (read_figures(write(tmp_path / f"{seed}.csv", frames(seed), groups)) for seed in (0, 1))
    result = compare([first], [second])
    difference = first.values["dice"] - second.values["dice"]
    assert result.interval is None
    assert result.by_group == pytest.approx({f"sequence {k}": difference[k::3].mean() for k in range(3)})


def test_frames_without_a_polyp_are_left_out(discs, red_engine, tmp_path: Path) -> None:
    pairs = load_pairs(discs)
    with red_engine() as engine:
        evaluation = evaluate_engine(engine, pairs)
    write_csv(evaluation, tmp_path / "frames.csv")
    figures = read_figures(tmp_path / "frames.csv")
    assert figures.names == tuple(frame.pair.name for frame in evaluation.with_polyp)
    assert len(figures.names) < len(pairs)
    assert figures.values["dice"].mean() == pytest.approx(evaluation.dice, abs=1e-6)


def test_compare_fails_on_other_frames(tmp_path: Path) -> None:
    scores = frames(0)
    whole = read_figures(write(tmp_path / "whole.csv", scores))
    part = read_figures(write(tmp_path / "part.csv", {n: s for n, s in scores.items() if n != "f7"}))
    message = r"part\.csv: no figures of frame 'f7', which .*whole\.csv has \(1 such frames\)"
    for pair in ((whole, part), (part, whole)):
        with pytest.raises(InputError, match=message):
            compare([pair[0]], [pair[1]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; write it with rtpolyp eval --csv"),
        ("name,group\nf0,f0\n", "no column 'dice'; give a file that rtpolyp eval --csv wrote"),
        (
            "name,group," + ",".join(FIGURES) + "\nf0,f0" + ",?" * len(FIGURES),
            "not readable as a CSV of frames",
        ),
        ("name,group," + ",".join(FIGURES) + "\nf0,f0" + "," * len(FIGURES), "no frame with a polyp"),
        (
            "name,group," + ",".join(FIGURES) + ("\nf0,f0" + ",1" * len(FIGURES)) * 2,
            "'f0' stands there twice",
        ),
        ("name,group," + ",".join(FIGURES) + "\nf0,f0,1\n", "not readable as a CSV of frames"),
    ],
)
def test_read_figures_fails(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "frames.csv").write_text(content)
    with pytest.raises(InputError, match=rf"frames\.csv: .*{message}"):
        read_figures(tmp_path / "frames.csv")
