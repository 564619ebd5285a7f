import json

import pytest

from rtpolyp.errors import InputError, OutputError
from train.experiment.files import read_json, replace_file, replace_text, write_compact_json
from train.experiment.finished import has_finished, read_finished

CELL = {"schema": 2, "seed": 0, "recipe": {"steps": 4, "sizes": [[64, 1.0]]}, "dice": 0.5}


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    replace_text(path, "first")

    def half(beside):
        beside.write_text("sec")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"file\.txt: cannot be written \(No space left on device\)\. Free"):
        replace_file(path, half)

    def interrupted(beside):
        beside.write_text("sec")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(path, interrupted)
    assert [file.read_text() for file in path.parent.iterdir()] == ["first"]


def test_compact_json_has_a_line_a_key(tmp_path):
    write_compact_json(CELL, tmp_path / "cell.json")
    text = (tmp_path / "cell.json").read_text()
    assert json.loads(text) == CELL
    assert len(text.splitlines()) == len(CELL) + 2


def test_a_figure_that_does_not_exist_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_compact_json({"dice": float("nan")}, tmp_path / "cell.json")
    assert not (tmp_path / "cell.json").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", r"not the rows \(JSONDecodeError"),
        ("[]", r"not the rows \(TypeError"),
        ("{}", r"not the rows \(KeyError\('schema'\)\)\. Delete it, to make it again"),
        ('{"schema": 1}', "schema 1, this version reads 2. Delete it, to make it again"),
    ],
)
def test_a_broken_file_is_named(text, line, tmp_path):
    (tmp_path / "cell.json").write_text(text)
    with pytest.raises(InputError, match=rf"cell\.json: {line}"):
        read_json(tmp_path / "cell.json", 2, "the rows")


def test_a_cell_is_finished_by_its_settings(tmp_path):
    file = tmp_path / "a" / "cell.json"
    settings = {"seed": 0, "recipe": CELL["recipe"]}
    assert not has_finished(file, 2, settings)
    write_compact_json(CELL, file)
    assert has_finished(file, 2, settings)
    assert read_finished(tmp_path, "*/cell.json", 2) == [(file, CELL)]
    other = {"seed": 1, "recipe": {"steps": 5}}
    with pytest.raises(
        InputError,
        match=r"settings: seed 0 → 1, steps 4 → 5, sizes \[\[64, 1\.0\]\] → None\. Give another -o",
    ):
        has_finished(file, 2, other)


def test_a_setting_that_came_later_leaves_cells_finished(tmp_path):
    write_compact_json(CELL, tmp_path / "cell.json")
    assert has_finished(tmp_path / "cell.json", 2, {"recipe": {**CELL["recipe"], "new": 0}})


def test_a_setting_that_came_later_is_not_another_one_while_it_is_off(tmp_path):
    file = tmp_path / "cell.json"
    file.write_text('{"schema": 1, "recipe": {"steps": 5}}')
    assert has_finished(file, 1, {"recipe": {"steps": 5}, "added": [], "random_init": False})
    with pytest.raises(InputError, match=r"other settings: added None → \['looks'\]\. Give another -o"):
        has_finished(file, 1, {"recipe": {"steps": 5}, "added": ["looks"]})
