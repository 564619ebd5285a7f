"""EngineSpec and its JSON: whatever stands in a field, it is a spec or one line that names the field."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rtpolyp import bounded_files
from rtpolyp.bounded_files import parse_json
from rtpolyp.errors import EngineError
from rtpolyp.spec import EngineSpec, parse_spec, read_spec, write_spec

SOURCE: dict[str, Any] = {"frames": 9, "mean": [0.7, 1], "covariance": [[0.1, 0], [0, 2.0]]}
WRONG_SOURCES: list[dict[str, Any]] = [
    {"frames": 0},
    {"mean": [0.7]},
    {"mean": [0.7, math.inf]},
    {"covariance": [[0.1, 0]]},
    {"covariance": [[0.1, 0.2], [0, 2.0]]},
    {"covariance": [[1, 1], [1, 1]]},
    {"other": 1},
]
APPEARANCE: dict[str, Any] = {
    "traits": ["redness", "fine detail"],
    "limit": 4.5,
    "sources": {"kvasir-seg:a": SOURCE},
}
SOUND: dict[str, Any] = {
    "name": "tiny",
    "network": "pranet-if",
    "encoder": "efficientnet-lite0",
    "height": 64,
    "width": 96,
    "threshold": 0.5,
    "minimum_area": 0.001,
    "minimum_confidence": 0.7,
    "files": {"fp32": "model.onnx"},
    "sha256": {"model.onnx": "0" * 64},
    "input_name": "frames",
    "output_name": "probability",
    "metrics": {"validation": {"dice": 0.9, "by_source": [1, None, "text", True]}},
    "training": {"seed": 7},
    "appearance": APPEARANCE,
    "trained_on": ["0123456789abcdef"],
    "golden": {
        "frame": "golden.png",
        "sha256": "0" * 64,
        "masks": {"fp32": {"runs": "6144", "sha256": "0" * 64}},
    },
    "schema": 1,
}
FIELDS = sorted(SOUND)
PATH = Path("strange/spec.json")
NUMBERS = st.floats() | st.integers() | st.sampled_from([10**400, -(10**4000), math.inf, math.nan, 1e301])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_fields_here_are_the_spec_s():
    assert {field.name for field in dataclasses.fields(EngineSpec)} == set(SOUND)


def test_a_sound_spec_is_written_and_read_again(tmp_path: Path):
    spec = parse_spec(SOUND, PATH)
    write_spec(spec, tmp_path / "spec.json")
    assert read_spec(tmp_path / "spec.json") == spec


@pytest.mark.parametrize(
    "change",
    [
        {"frame": "../golden.png"},
        {"sha256": "0"},
        {"masks": {}},
        {"masks": {"int8": SOUND["golden"]["masks"]["fp32"]}},
        {"masks": {"fp32": {"runs": "none", "sha256": "0" * 64}}},
        {"masks": {"fp32": {"runs": "1 " * 100_000 + "1", "sha256": "0" * 64}}},
        {"extra": 1},
    ],
)
def test_a_golden_frame_is_whole_or_none(change: dict[str, Any]):
    with pytest.raises(
        EngineError, match=r"spec\.json: golden is .* not an object of frame, sha256 and masks"
    ):
        parse_spec({**SOUND, "golden": {**SOUND["golden"], **change}}, PATH)
    assert parse_spec({**SOUND, "golden": {}}, PATH).golden == {}


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(field=st.sampled_from(FIELDS), value=JSON)
@example("minimum_area", math.inf)
@example("minimum_confidence", 5)
@example("minimum_confidence", math.nan)
@example("height", 10**4000)
@example("name", "x" * 5000)
@example("name", "a\x1b[2J")
@example("files", {"fp32": "../model.onnx"})
@example("files", {"fp32": "/etc/passwd"})
@example("trained_on", "0123456789abcdef")
@example("encoder", [{"\x1f" * 48: 10**200, "\x9c" * 48: 10**200}] * 2)
def test_any_json_value_in_any_field(field: str, value: object):
    try:
        spec = parse_spec({**SOUND, field: value}, PATH)
    except EngineError as exc:
        told = str(exc)
        assert told.startswith(f"{PATH}: {field} is ")
        assert told.isprintable()
        assert "export the bundle again" in told
        assert len(told) < 400
    else:
        text = json.dumps(dataclasses.asdict(spec), allow_nan=False)
        assert parse_spec(parse_json(text), PATH) == spec
        assert 0 < spec.threshold < 1
        assert 0 <= spec.minimum_area < 1
        assert 0 <= spec.minimum_confidence < 1
        assert all(Path(file).name == file for file in spec.files.values())


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", [None, 7, "", "a/b", "a\nb", ".hidden", "x" * 101, "a[b]"]),
        ("height", [None, "64", 64.0, True, 0, -64, 65, 8192, 10**5000]),
        ("threshold", [None, "0.5", 0, 1, -0.5, math.nan, math.inf, True]),
        ("minimum_area", [None, "0", -0.1, 1.0, math.inf, -math.inf, math.nan]),
        ("minimum_confidence", [None, [], 1, 5, math.nan]),
        ("files", [None, [], "model.onnx", {"fp32": 7}, {"fp32": ""}, {"fp32": "a/b"}, {"fp32": ".."}]),
        ("files", [{"fp32": "C:\\model"}, {"": "m.onnx"}, {f"r{i}": "m.onnx" for i in range(65)}]),
        ("sha256", [None, {"model.onnx": None}, {"model.onnx": "0" * 63}, {"model.onnx": "G" * 64}]),
        ("input_name", [None, 7, "", "x" * 5000, "a b", "a\x00"]),
        ("metrics", [None, [], {"dice": math.nan}, {"dice": 10**400}]),
        ("appearance", [None, [], {"traits": []}, {**APPEARANCE, "other": 1}, {**APPEARANCE, "limit": 0}]),
        ("appearance", [{**APPEARANCE, "limit": math.nan}, {**APPEARANCE, "traits": ["redness", "redness"]}]),
        ("appearance", [{**APPEARANCE, "traits": ["redness"]}, {**APPEARANCE, "sources": {}}]),
        ("appearance", [{**APPEARANCE, "sources": {f"s{i}": SOURCE for i in range(65)}}]),
        ("appearance", [{**APPEARANCE, "sources": {"a": SOURCE | wrong}} for wrong in WRONG_SOURCES]),
        ("trained_on", [None, {}, [7], ["0" * 15], ["0" * 16, "x" * 16]]),
        ("schema", [None, "1", 2, 0, True, 1.0]),
    ],
)
def test_what_a_field_refuses(field: str, values: list[object]):
    for value in values:
        with pytest.raises(EngineError, match=f"^strange/spec.json: {field} is "):
            parse_spec({**SOUND, field: value}, PATH)


def test_a_newer_schema_is_told_before_its_new_fields():
    with pytest.raises(EngineError, match=r"schema is 2, not 1, which .* update rtpolyp"):
        parse_spec({**SOUND, "schema": 2, "colour": "blue"}, PATH)


@pytest.mark.parametrize("name", [name for name in FIELDS if name in list(SOUND)[:8]])
def test_a_field_that_is_missing(name: str):
    with pytest.raises(EngineError, match=f"no field '{name}'; export the bundle again"):
        parse_spec({key: value for key, value in SOUND.items() if key != name}, PATH)


def test_a_field_that_nobody_knows():
    with pytest.raises(EngineError, match="unknown field 'colour'"):
        parse_spec({**SOUND, "colour": "blue"}, PATH)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"name": "a", "name": "b"}', "a key is given twice"),
        ('{"name": NaN}', "NaN is no number"),
        ("1" * 5000, "readable as JSON"),
        ("", "readable as JSON"),
        ("\x00", "readable as JSON"),
    ],
)
def test_json_that_is_none(tmp_path: Path, text: str, told: str):
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(EngineError, match=told) as failure:
        read_spec(path)
    assert str(failure.value).isprintable()


def test_a_huge_file_is_refused_unread(tmp_path: Path, monkeypatch):
    path = tmp_path / "spec.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # sparse
    monkeypatch.setattr(bounded_files, "parse_json", None)
    with pytest.raises(EngineError, match="has 1,073,741,824 bytes, more than the 4,194,304 allowed"):
        read_spec(path)
