"""EngineSpec: everything a program must know to run one network, as JSON beside the ONNX."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rtpolyp.bounded_files import read_json
from rtpolyp.errors import EngineError
from rtpolyp.spec_fields import SCHEMA, check_field

__all__ = [
    "SCHEMA",
    "EngineSpec",
    "Precision",
    "image_fingerprint",
    "parse_spec",
    "read_spec",
    "sha256_of",
    "write_spec",
]

Precision = Literal["fp32", "bf16", "int8"]


@dataclass(frozen=True)
class EngineSpec:
    """What a bundle's ONNX expects and promises.

    The input is `frames: (N, height, width, 3) uint8 BGR`, the output
    `probability: (N, height, width) uint8`, 255 = polyp; N is symbolic in the file.
    """

    name: str  # the bundle's name, e.g. "pranet-if"
    network: str  # key of train.networks.NETWORKS
    encoder: str  # key of train.encoders.ENCODERS
    height: int  # pixels, network input
    width: int  # pixels, network input
    threshold: float  # probability in [0, 1] from which a pixel is polyp
    minimum_area: float  # fraction of the network's picture; smaller components are dropped
    minimum_confidence: float  # mean probability in [0, 1] of a component; lower ones are dropped
    files: dict[str, str] = field(default_factory=dict)  # {"fp32": "model.onnx", "int8": "model.int8.onnx"}
    sha256: dict[str, str] = field(default_factory=dict)  # file name → hexadecimal SHA-256
    input_name: str = "frames"
    output_name: str = "probability"
    metrics: dict[str, Any] = field(default_factory=dict)  # measured figures, by data set and convention
    training: dict[str, Any] = field(default_factory=dict)  # recipe, seed, data parts, versions
    appearance: dict[str, Any] = field(default_factory=dict)  # of the training frames; see TrainingSources
    trained_on: tuple[str, ...] = ()  # image_fingerprint of every training and validation image
    golden: dict[str, Any] = field(default_factory=dict)  # as rtpolyp.measure.golden; empty: none
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            check_field(one.name, getattr(self, one.name))

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over the hashes of all files: what a measurement was made with."""
        lines = "".join(f"{name} {value}\n" for name, value in sorted(self.sha256.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:16]

    @property
    def left_out(self) -> tuple[str, ...]:
        """The precisions that cost too much when the bundle was exported: none is offered."""
        validation = self.metrics.get("validation")
        named = validation.get("left_out") if isinstance(validation, dict) else None
        return tuple(map(str, named)) if isinstance(named, list) else ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, OpenCV's order."""
        return self.width, self.height


def read_spec(path: Path) -> EngineSpec:
    """Read `spec.json`; raise EngineError naming the file when it is missing, broken or of another schema."""
    try:
        values = read_json(path)
    except FileNotFoundError:
        raise EngineError(
            f"{path}: no such file; a bundle is a folder with model.onnx and spec.json"
        ) from None
    except (OSError, ValueError) as exc:
        raise EngineError(f"{path}: not readable as JSON ({exc}); export the bundle again") from exc
    return parse_spec(values, path)


def parse_spec(values: object, path: Path | str) -> EngineSpec:
    """The spec in decoded JSON; raise EngineError naming `path`, the file it stood in, when it is none."""
    if not isinstance(values, dict):
        raise EngineError(f"{path}: not a spec (a JSON object is expected); export the bundle again")
    try:
        check_field("schema", values.get("schema", SCHEMA))  # first: another one has other fields
    except EngineError as exc:
        raise EngineError(f"{path}: {exc}") from exc
    fields = {one.name: one for one in dataclasses.fields(EngineSpec)}
    if unknown := sorted(values.keys() - fields.keys()):
        raise EngineError(
            f"{path}: unknown field {ascii(unknown[0])[:80]}; it was written by another version, export again"
        )
    needed = {
        name for name, one in fields.items() if one.default is one.default_factory is dataclasses.MISSING
    }
    if missing := sorted(needed - values.keys()):
        raise EngineError(f"{path}: no field {missing[0]!r}; export the bundle again")
    trained_on = values.get("trained_on", [])
    if isinstance(trained_on, list):
        values = {**values, "trained_on": tuple(trained_on)}
    try:
        return EngineSpec(**values)
    except EngineError as exc:
        raise EngineError(f"{path}: {exc}") from exc


def write_spec(spec: EngineSpec, path: Path) -> None:
    """Write `spec` as JSON, one field a line, fingerprints packed at the end."""
    path.write_text(json.dumps(dataclasses.asdict(spec), indent=1) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def image_fingerprint(path: Path) -> str:
    """Sixteen hexadecimal digits that identify an image file by its bytes (the head of its SHA-256)."""
    return sha256_of(path)[:16]
