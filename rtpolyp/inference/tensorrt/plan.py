"""A plan: what TensorRT compiled, with a JSON beside it that says from what, for which machine and how well.

A plan is executable code to TensorRT, and bound to its exact version and card. Everything that can be told
from its first bytes, its sidecar and its hash is checked here, without a GPU and without the library.
"""

import dataclasses
import hashlib
import json
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rtpolyp.bounded_files import MAX_JSON_BYTES, parse_json, read_regular
from rtpolyp.errors import CorruptPlan, EngineError, ForeignPlan, OutputError
from rtpolyp.inference.atomic_file import write_whole
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt.flavour import Flavour
from rtpolyp.spec import EngineSpec, parse_spec

__all__ = [
    "SUFFIX",
    "Plan",
    "PlanPrecision",
    "PlanSpec",
    "TensorSpec",
    "plan_header",
    "read_plan",
    "this_platform",
    "write_plan",
]

SCHEMA = 1
SUFFIX = ".engine"
MAX_PLAN_BYTES = 4 << 30
PlanPrecision = Literal["fp16", "fp32", "bf16", "int8"]

MAGIC: dict[bytes, Flavour] = {b"vtrt": "tensorrt-rtx", (0x74727466).to_bytes(4, "little"): "tensorrt"}
VERSION = slice(24, 28)  # bytes: major, minor, patch, build


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a plan."""

    name: str
    dtype: str  # NumPy's name, e.g. "uint8"
    shape: tuple[int, ...]  # -1 where the profile lets it vary
    minimum: tuple[int, ...]  # the optimisation profile; all three equal where nothing varies
    optimum: tuple[int, ...]
    maximum: tuple[int, ...]


@dataclass(frozen=True)
class PlanSpec:
    """The sidecar of a plan."""

    flavour: Flavour
    tensorrt_version: str  # four numbers, as the plan's header has them
    plan_sha256: str
    onnx_sha256: str | None  # of the typed graph that was compiled; None where torch-tensorrt compiled
    source_sha256: str  # of the bundle's ONNX or the weights that it was made from
    bundle_digest: str  # Bundle.digest
    precision: PlanPrecision
    capabilities: tuple[str, ...]  # compute capabilities that it runs on, e.g. ("sm86", "sm120")
    gpu: str | None  # the card it was built on; None when built without one
    driver: str | None
    cuda: str | None
    platform: str  # e.g. "linux-x86_64"
    flags: tuple[str, ...]  # builder and network flags, by name
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: str  # what the caller has to do, in words; the rest is inside
    operations: dict[str, dict[str, int]]  # precision → kind of layer → count, as the parser typed them
    weights: dict[str, int]  # numbers held, by precision
    build_seconds: float
    parity: dict[str, Any]  # the typed graph against the bundle's FP32, in ONNX Runtime
    trained: bool  # False: random weights, good for latency alone
    rebuild: str  # the command that builds it again
    engine: EngineSpec  # name, size, operating point, and the frames that the network has seen
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema} is not {SCHEMA}")

    @property
    def batch(self) -> tuple[int, int, int]:
        """Least, best and most frames of one run."""
        (frames,) = self.inputs
        return frames.minimum[0], frames.optimum[0], frames.maximum[0]

    @property
    def file_name(self) -> str:
        """E.g. "pranet-if.sm90.fp16.288x288.b1.engine": whatever else is built gets a name of its own."""
        cards = "-".join([*(["rtx"] if self.flavour == "tensorrt-rtx" else []), *self.capabilities])
        batch = "-".join(str(count) for count in dict.fromkeys(self.batch))
        size = f"{self.engine.width}x{self.engine.height}"
        kind = "" if self.trained else ".untrained"
        return f"{self.engine.name}.{cards}.{self.precision}.{size}.b{batch}{kind}{SUFFIX}"

    @property
    def built_for(self) -> str:
        """What the plan was built for, in one phrase: library, version, cards and system."""
        return f"{self.flavour} {self.tensorrt_version}, {', '.join(self.capabilities)}, {self.platform}"


@dataclass(frozen=True)
class Plan:
    """A plan whose bytes are those that its sidecar vouches for; `content` may be deserialised."""

    path: Path
    spec: PlanSpec
    content: bytes = dataclasses.field(repr=False)

    def check_machine(self, installed: Mapping[Flavour, str], card: Card | None) -> None:
        """Raise ForeignPlan where this machine cannot run the plan.

        `installed` is flavour.installed_flavours(), `card` is card.find_card().
        """
        spec = self.spec
        have = installed.get(spec.flavour)
        if spec.platform != this_platform():
            machine = f"this is {this_platform()}"
        elif card is None:
            raise ForeignPlan(
                f"{self.path}: built for {spec.built_for}; no NVIDIA card is visible here, and no plan runs "
                "without one: run it on such a card, or give a bundle in its place"
            )
        elif card.capability not in spec.capabilities:
            machine = f"this card is {card}"
        elif have is None:
            machine = f"installed is {_listed(installed)}"
        elif not _same_version(have, spec.tensorrt_version):
            machine = f"installed is {spec.flavour} {have}"
        else:
            return
        raise ForeignPlan(f"{self.path}: built for {spec.built_for}; {machine}. Rebuild: {spec.rebuild}")


def read_plan(path: Path, *, untrained: bool = False) -> Plan:
    """Read a plan and its sidecar, the same name with .json, and verify them against each other.

    Raises CorruptPlan for a file that is missing, is no plan, or differs from what the sidecar says of it;
    EngineError for a plan with random weights, unless `untrained`.
    """
    sidecar = path.with_suffix(".json")
    try:
        content = read_regular(path, MAX_PLAN_BYTES)
        text = read_regular(sidecar, MAX_JSON_BYTES).decode("utf-8")
    except (OSError, ValueError) as exc:
        raise CorruptPlan(f"{path}: not readable with its sidecar ({exc}); build it again") from exc
    found = plan_header(content)
    if found is None:
        raise CorruptPlan(f"{path}: begins with {content[:4]!r}, so it is no TensorRT plan; build it again")
    spec = _parse(text, sidecar)
    claimed = spec.flavour, spec.tensorrt_version
    if found != claimed:
        raise CorruptPlan(
            f"{path}: its header says {' '.join(found)}, {sidecar.name} says {' '.join(claimed)}. "
            f"Rebuild: {spec.rebuild}"
        )
    if (digest := hashlib.sha256(content).hexdigest()) != spec.plan_sha256:
        raise CorruptPlan(
            f"{path}: SHA-256 is {digest[:12]}…, {sidecar.name} says {spec.plan_sha256[:12]}…, so it was "
            f"changed after it was built. Rebuild: {spec.rebuild}"
        )
    if not (spec.trained or untrained):
        raise EngineError(
            f"{path}: built with random weights, for latency alone; train {spec.engine.network}, export it "
            "and build it again"
        )
    return Plan(path, spec, content)


def write_plan(path: Path, content: bytes, spec: PlanSpec) -> None:
    """Write plan and sidecar, each whole or not at all. Raises OutputError."""
    text = json.dumps(dataclasses.asdict(spec), indent=1) + "\n"
    try:
        # between the two an old plan may lie beside a new sidecar: read_plan sees that by the hash
        write_whole(path.with_suffix(".json"), text.encode())
        write_whole(path, content)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc}); free space or choose another -o") from exc


def plan_header(content: bytes) -> tuple[Flavour, str] | None:
    """Flavour and version, e.g. ("tensorrt-rtx", "1.7.1.116"); None when these are not a plan's bytes."""
    flavour = MAGIC.get(content[:4])
    if flavour is None or len(content) < VERSION.stop:
        return None
    return flavour, ".".join(map(str, content[VERSION]))


def this_platform() -> str:
    """E.g. "linux-x86_64": a plan built on another does not load."""
    return f"{sys.platform}-{platform.machine().lower()}"


def _parse(text: str, sidecar: Path) -> PlanSpec:
    try:
        values: Any = parse_json(text)
        for name in ("inputs", "outputs"):
            values[name] = tuple(_tensor(tensor) for tensor in values[name])
        for name in ("capabilities", "flags"):
            values[name] = tuple(values[name])
        values["engine"] = parse_spec(values["engine"], sidecar)
        return PlanSpec(**values)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CorruptPlan(f"{sidecar}: not a plan's sidecar ({exc}); build the plan again") from exc


def _tensor(values: dict[str, Any]) -> TensorSpec:
    shapes = {name: tuple(values[name]) for name in ("shape", "minimum", "optimum", "maximum")}
    return TensorSpec(**(values | shapes))


def _same_version(installed: str, built: str) -> bool:
    """Whether `installed` names the version `built`; some bindings call 10.6.0.26 just 10.6.0."""
    numbers = re.findall(r"\d+", installed)
    return numbers == built.split(".")[: len(numbers)]


def _listed(installed: Mapping[Flavour, str]) -> str:
    return ", ".join(f"{flavour} {version}" for flavour, version in installed.items()) or "no TensorRT"
