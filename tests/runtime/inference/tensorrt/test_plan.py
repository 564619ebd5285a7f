"""Plan and sidecar: what can be told of a plan without a GPU and without the library."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rtpolyp.errors import CorruptPlan, EngineError, ForeignPlan, OutputError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt.flavour import Flavour
from rtpolyp.inference.tensorrt.plan import Plan, plan_header, read_plan, write_plan
from tests.runtime.simulated_tensorrt import CARD, VERSIONS, simulated_plan

FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt-rtx")


@pytest.fixture(params=FLAVOURS)
def plan(request: pytest.FixtureRequest, tmp_path: Path, bundle: Bundle) -> Plan:
    return simulated_plan(tmp_path, bundle.spec, request.param)


def sidecar(plan: Plan) -> Path:
    return plan.path.with_suffix(".json")


def rewrite(plan: Plan, **changes: object) -> None:
    values = json.loads(sidecar(plan).read_text())
    sidecar(plan).write_text(json.dumps(values | changes))


def test_what_was_written_is_read(plan: Plan):
    again = read_plan(plan.path)
    assert again == plan
    assert again.spec.engine == plan.spec.engine
    assert again.spec.batch == (1, 1, 4)
    assert sorted(path.name for path in plan.path.parent.iterdir()) == sorted(
        (plan.path.name, sidecar(plan).name)
    )


def test_each_kind_of_plan_has_a_name_of_its_own(tmp_path: Path, bundle: Bundle):
    kinds = [
        {}, {"precision": "fp32"}, {"batch": (1, 4, 8)}, {"batch": (1, 1, 1)}, {"trained": False},
        {"capabilities": ("sm86", "sm120")},
    ]  # fmt: skip
    plans = [simulated_plan(tmp_path, bundle.spec, flavour, **kind) for flavour in FLAVOURS for kind in kinds]
    larger = replace(bundle.spec, width=2 * bundle.spec.width)
    plans.append(simulated_plan(tmp_path, larger, "tensorrt"))
    assert len({plan.path for plan in plans}) == len(plans)
    assert plans[0].path.name == "tiny.sm89.fp16.96x64.b1-4.engine"


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (b"vtrt" + bytes(20) + bytes([1, 7, 1, 0x74]), ("tensorrt-rtx", "1.7.1.116")),
        (b"ftrt" + bytes(20) + bytes([10, 13, 3, 9]), ("tensorrt", "10.13.3.9")),
        (b"vtrt" + bytes(20) + bytes([1, 7]), None),
        (b"\x08\x0a onnx" + bytes(40), None),
        (b"", None),
    ],
)
def test_the_header_tells_flavour_and_version(content: bytes, header: tuple[str, str] | None):
    assert plan_header(content) == header


def test_a_changed_byte_fails(plan: Plan):
    content = bytearray(plan.content)
    content[-1] ^= 1
    plan.path.write_bytes(content)
    with pytest.raises(
        CorruptPlan, match=r"SHA-256 is .*, so it was changed after it was built\. Rebuild: py"
    ):
        read_plan(plan.path)


@pytest.mark.parametrize("length", [0, 3, 27])
def test_a_cut_plan_fails(plan: Plan, length: int):
    plan.path.write_bytes(plan.content[:length])
    with pytest.raises(CorruptPlan, match=r"engine: begins with b'.*', so it is no TensorRT plan; build"):
        read_plan(plan.path)


def test_a_sidecar_of_another_version_fails(plan: Plan):
    rewrite(plan, tensorrt_version="1.6.1.120")
    with pytest.raises(
        CorruptPlan, match=rf"header says {plan.spec.flavour} .*, .*json says .* 1\.6\.1\.120"
    ):
        read_plan(plan.path)


@pytest.mark.parametrize("missing", ["engine", "json"])
def test_a_missing_half_fails_naming_it(plan: Plan, missing: str):
    plan.path.with_suffix(f".{missing}").unlink()
    with pytest.raises(
        CorruptPlan, match=rf"not readable with its sidecar \(.*\.{missing}'\); build it again"
    ):
        read_plan(plan.path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "{}", '{"schema": 1, "flavour": "tensorrt"}', '{"inputs": [1]}']
)
def test_a_broken_sidecar_fails(plan: Plan, text: str):
    sidecar(plan).write_text(text)
    with pytest.raises(CorruptPlan, match=r"json: not a plan's sidecar \(.*\); build the plan again"):
        read_plan(plan.path)


@pytest.mark.parametrize("change", [{"schema": 2}, {"colour": "blue"}, {"inputs": [{"name": "frames"}]}])
def test_a_sidecar_of_another_schema_fails(plan: Plan, change: dict[str, object]):
    rewrite(plan, **change)
    with pytest.raises(CorruptPlan, match="not a plan's sidecar"):
        read_plan(plan.path)


def test_an_untrained_plan_is_read_on_request_alone(tmp_path: Path, bundle: Bundle):
    path = simulated_plan(tmp_path, bundle.spec, "tensorrt-rtx", trained=False).path
    assert not read_plan(path, untrained=True).spec.trained
    with pytest.raises(EngineError, match="random weights, for latency alone; train tiny, export it"):
        read_plan(path)


def test_a_plan_of_this_machine_is_no_foreigner(plan: Plan):
    plan.check_machine(VERSIONS, CARD)


def test_a_short_version_names_the_long_one(tmp_path: Path, bundle: Bundle):
    """The bindings of 10.6.0.26 on PyPI call themselves 10.6.0."""
    plan = simulated_plan(tmp_path, bundle.spec, "tensorrt")
    plan.check_machine({"tensorrt": "10.13.3"}, CARD)
    with pytest.raises(ForeignPlan):
        plan.check_machine({"tensorrt": "10.13.2"}, CARD)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("installed", "card", "change", "machine"),
    [
        (VERSIONS, Card("NVIDIA H100", "sm90", "13.0", None), {}, r"this card is NVIDIA H100 \(sm90\)"),
        ({}, CARD, {}, "installed is no TensorRT"),
        ({"tensorrt": "11.4.0.106", "tensorrt-rtx": "1.6.1.120"}, CARD, {}, "installed is tensorrt"),
        (VERSIONS, CARD, {"platform": "win32-amd64"}, "win32-amd64; this is "),
    ],
)  # fmt: skip
def test_a_foreign_plan_fails_with_what_it_is_and_what_is_here(
    tmp_path: Path, bundle: Bundle, flavour: Flavour, installed, card, change, machine
):
    plan = simulated_plan(tmp_path, bundle.spec, flavour, **change)
    expected = (
        rf"engine: built for {flavour} {VERSIONS[flavour]}, sm89, .*{machine}.*\. Rebuild: python scripts/"
    )
    with pytest.raises(ForeignPlan, match=expected):
        plan.check_machine(installed, card)


def test_without_a_card_the_remedy_is_a_card_and_not_another_plan(tmp_path: Path, bundle: Bundle):
    plan = simulated_plan(tmp_path, bundle.spec, "tensorrt")
    with pytest.raises(ForeignPlan) as caught:
        plan.check_machine({}, None)
    assert "no NVIDIA card is visible here, and no plan runs without one: run it on such a card" in str(
        caught.value
    )
    assert "Rebuild" not in str(caught.value)


def test_of_the_other_flavour_alone_fails(plan: Plan):
    (other,) = set(FLAVOURS) - {plan.spec.flavour}
    with pytest.raises(ForeignPlan, match=f"installed is {other} {VERSIONS[other]}"):
        plan.check_machine({other: VERSIONS[other]}, CARD)


def test_an_unwritable_folder_fails(plan: Plan):
    with pytest.raises(OutputError, match=r"cannot be written .*; free space or choose another -o"):
        write_plan(plan.path / "inside-a-file.engine", plan.content, plan.spec)


def test_a_full_disk_leaves_the_earlier_plan(plan: Plan, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_plan(plan.path, plan.content + b"more", plan.spec)
    monkeypatch.undo()
    assert read_plan(plan.path) == plan
    assert len(list(plan.path.parent.iterdir())) == 2
