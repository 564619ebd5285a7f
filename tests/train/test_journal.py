"""What a run writes down, and that a resumed run writes nothing twice."""

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from rtpolyp.errors import OutputError
from tests.train.full_disk import files_of_at_most
from train.journal import Journal
from train.validate import Validation

GOOD = Validation({"a:x": 0.9, "b:y": 0.7}, {"a:x": 0.8, "b:y": 0.6}, 0.25)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write(folder: Path, first: int, last: int) -> None:
    """The rows of the steps after `first` up to `last`."""
    with Journal(folder, first, 100) as journal:
        for step in range(first + 1, last + 1):
            journal.train_step(step, {"loss": 1 / step, "size": 64})
            if step % 2 == 0:
                journal.validation(step, GOOD, stale=step // 2 - 1, lr_scale=0.1 if step > 4 else 1.0)


def test_rows_are_what_was_noted(tmp_path):
    write(tmp_path, 0, 3)
    assert rows(tmp_path / "train.csv") == [
        {"step": "1", "loss": "1", "size": "64"},
        {"step": "2", "loss": "0.5", "size": "64"},
        {"step": "3", "loss": "0.333333", "size": "64"},
    ]
    assert rows(tmp_path / "val.csv") == [
        {
            "step": "2",
            "dice": "0.8",
            "iou": "0.7",
            "false_outlines": "0.25",
            "dice a:x": "0.9",
            "dice b:y": "0.7",
        }
    ]
    assert b"\r" not in (tmp_path / "train.csv").read_bytes()


def test_tensorboard_gets_the_same_figures(tmp_path):
    write(tmp_path, 0, 2)
    (file,) = tmp_path.glob("events.out.tfevents.*")
    found = {
        (event.step, value.tag): value.tensor.float_val[0]  # the loader turns scalars into tensors
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
    }
    assert found[2, "train/loss"] == 0.5
    assert found[2, "val/dice"] == pytest.approx(0.8)
    assert found[2, "val/dice b:y"] == pytest.approx(0.7)
    assert {step for step, _ in found} == {1, 2}


def test_a_resumed_run_drops_rows_beyond_its_step_and_repeats_none(tmp_path):
    write(tmp_path, 0, 7)
    write(tmp_path, 4, 9)  # killed after step 7, the checkpoint of step 4 was the last
    assert [row["step"] for row in rows(tmp_path / "train.csv")] == [str(step) for step in range(1, 10)]
    assert [row["step"] for row in rows(tmp_path / "val.csv")] == ["2", "4", "6", "8"]


def test_a_run_that_starts_anew_writes_its_own_header(tmp_path):
    (tmp_path / "val.csv").write_text("step,dice,dice other:source\n40,0.5,0.5\n")
    write(tmp_path, 0, 2)
    assert list(rows(tmp_path / "val.csv")[0]) == [
        "step",
        "dice",
        "iou",
        "false_outlines",
        "dice a:x",
        "dice b:y",
    ]


@pytest.mark.parametrize("left", ["", "step,lo", "step,loss,size\n", "step,loss,size\n1,1,64\n2,0.5"])
def test_what_a_crash_left_half_written_is_dropped(tmp_path, left):
    (tmp_path / "train.csv").write_text(left)
    write(tmp_path, 1, 3)
    found = rows(tmp_path / "train.csv")
    assert [row["step"] for row in found if row["step"] != "1"] == ["2", "3"]
    assert found[-1] == {"step": "3", "loss": "0.333333", "size": "64"}


def test_other_tables_in_the_folder_stay_as_they_are(tmp_path):
    (tmp_path / "mine.csv").write_text("name,dice\nkvasir,0.9\n")
    write(tmp_path, 0, 1)
    assert (tmp_path / "mine.csv").read_text() == "name,dice\nkvasir,0.9\n"


def test_lines_go_to_the_log_where_there_is_no_terminal(tmp_path, caplog):
    caplog.set_level("INFO", logger="train")
    write(tmp_path, 0, 2)
    assert caplog.messages[0].startswith("step 1/100  loss 1  size 64  ETA ")
    assert caplog.messages[2].startswith("validation at step 2: dice 0.8000")
    assert caplog.messages[2].endswith("  (best)")


def test_a_validation_tells_how_long_ago_the_best_was_and_what_plateaus_have_left(tmp_path, caplog):
    caplog.set_level("INFO", logger="train")
    write(tmp_path, 4, 6)
    assert caplog.messages[2].endswith("  (2 since the best, learning rate × 0.1)")


def test_a_terminal_gets_a_bar_with_the_time_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    write(tmp_path, 0, 2)
    error = capsys.readouterr().err
    assert "2/100" in error
    assert "validation at step 2" in error


def test_the_summary_says_why_it_ended_and_names_every_source(tmp_path, capsys, caplog):
    caplog.set_level("INFO", logger="train")
    with Journal(tmp_path, 0, 1) as journal:
        journal.summary("all 40 steps done", 40, GOOD)
    assert caplog.messages == ["all 40 steps done"]
    text = capsys.readouterr().err
    assert "Best validation, step 40" in text
    for part in ("a:x", "0.9000", "mean of sources", "0.8000", "polyp-free frames outlined", "25.0%"):
        assert part in text


def test_a_table_that_cannot_be_written_fails_naming_it(tmp_path):
    (tmp_path / "train.csv").mkdir()
    with pytest.raises(OutputError, match=r"cannot be written \(Is a directory\)"):
        Journal(tmp_path, 0, 1)
    (tmp_path / "train.csv").rmdir()
    with Journal(tmp_path, 0, 1) as journal:
        (tmp_path / "train.csv").mkdir()
        with pytest.raises(OutputError, match=r"train\.csv: cannot be written \(Is a directory\)"):
            journal.train_step(1, {"loss": 1.0})


def test_a_full_disk_fails_in_the_next_row_and_what_was_written_stays(tmp_path):
    with Journal(tmp_path, 0, 3) as journal:
        journal.train_step(1, {"loss": 1.0, "size": 64})
        written = (tmp_path / "train.csv").read_text()
        with (
            files_of_at_most(len(written) + 2),
            pytest.raises(OutputError, match=r"train\.csv: cannot be written \(File too large\)\. Free"),
        ):
            journal.train_step(2, {"loss": 0.5, "size": 64})
    assert (tmp_path / "train.csv").read_text().startswith(written)
    write(tmp_path, 1, 3)
    assert [row["step"] for row in rows(tmp_path / "train.csv")] == ["1", "2", "3"]


def test_the_time_that_remains_is_whole_and_right_at_80_columns(tmp_path):
    journal, clock = Journal(tmp_path, 0, 12_000), [0.0]
    (task,) = journal.bar.tasks
    task._get_time = journal.bar.get_time = lambda: clock[0]
    task.start_time = 0.0
    for step in (20, 40, 60):
        clock[0] += 20 * 6.0  # seconds: two minutes without news
        journal.train_step(step, {"loss": 0.123456, "gradient norm": 12.3456, "learning rate": 0.000123456})
    screen = io.StringIO()
    Console(file=screen, width=80).print(journal.bar.get_renderable())
    journal.events.close()
    (line,) = screen.getvalue().splitlines()
    assert "60/12000" in line
    assert "19:54:00" in line  # 11,940 steps of 6 s
    assert "loss 0.1235" in line


def test_a_fine_tuned_run_notes_what_it_begins_with(tmp_path, caplog):
    better, worse = Validation({"a:x": 0.9}, {"a:x": 0.8}, 0.0), Validation({"a:x": 0.7}, {"a:x": 0.6}, 0.0)
    with caplog.at_level("INFO"), Journal(tmp_path, 0, 4) as journal:
        journal.start(better)
        journal.validation(4, worse, 0, 1.0)
        journal.summary("all 4 steps done", 4, worse)
    assert [row["step"] for row in rows(tmp_path / "val.csv")] == ["0", "4"]
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("validation at step 0: dice 0.9000")
    assert said[-1].startswith("the weights of --init were better: Dice 0.9000 at step 0, at best 0.7000")
    Journal(tmp_path, 0, 4).events.close()
    assert not (tmp_path / "val.csv").exists()
