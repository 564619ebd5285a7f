"""A bundle: one network's folder with its ONNX files, spec and model card, verified before use."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from rtpolyp.bounded_files import inside, read_regular
from rtpolyp.checks import known_names
from rtpolyp.errors import BackendError, EngineError
from rtpolyp.inference.onnx_graph import check_graph
from rtpolyp.spec import EngineSpec, read_spec

__all__ = ["DEFAULT_BUNDLE", "Bundle", "is_shipped", "known_bundles", "load_bundle"]

DEFAULT_BUNDLE = "pranet-if"
MAX_MODEL_BYTES = 1 << 30
WEIGHTS = "weights"  # the role of the one file that is no network: train reads it

PACKAGE = Path(__file__).resolve().parents[1]
SHELVES = (PACKAGE / "bundles", PACKAGE.parent / "engines")  # in an installed wheel; in a checkout


@dataclass(frozen=True)
class Bundle:
    """A folder whose files are those that its spec names, byte for byte."""

    folder: Path
    spec: EngineSpec

    def model(self, role: str) -> Path:
        """The ONNX file for a role of `spec.files`, such as "fp32" or "int8".

        Raises BackendError when the bundle has no such file.
        """
        if role not in self.spec.files:
            others = f"; {DEFAULT_BUNDLE} has its weights" if role == WEIGHTS else ""
            raise BackendError(
                f"{self.folder}: no {role} model in this bundle; it has {', '.join(sorted(self.spec.files))}"
                f"{others}"
            )
        return self.folder / self.spec.files[role]

    @property
    def digest(self) -> str:
        """The spec's digest, by which two states of a bundle are told apart."""
        return self.spec.digest


def load_bundle(name_or_path: str | Path = DEFAULT_BUNDLE) -> Bundle:
    """Find a bundle by folder, or by name among those shipped, and verify it.

    Raises EngineError when there is no such bundle, when its spec cannot be read, and when a file is missing,
    lies elsewhere, differs from the spec's SHA-256, or is ONNX of other sizes than the spec's.
    """
    folder = _find(name_or_path)
    _stay_inside(folder / "spec.json")
    spec = read_spec(folder / "spec.json")
    for file in sorted({*spec.files.values(), *spec.sha256}):
        if file not in spec.sha256:
            raise EngineError(f"{folder / 'spec.json'}: no SHA-256 for {file}; export the bundle again")
        _verify(folder / file, spec)
    if spec.golden:
        _stay_inside(folder / spec.golden["frame"])
    return Bundle(folder, spec)


def is_shipped(name_or_path: str | Path) -> bool:
    """Whether this is one of rtpolyp's own bundles; raises EngineError when there is no such bundle."""
    return _find(name_or_path).resolve().parent in [shelf.resolve() for shelf in SHELVES]


def known_bundles() -> list[str]:
    """Names of the bundles that `load_bundle` finds without a folder."""
    names = {spec.parent.name for shelf in SHELVES for spec in shelf.glob("*/spec.json")}
    return sorted(name for name in names if not name.startswith("."))  # an export that is not finished


def _verify(path: Path, spec: EngineSpec) -> None:
    """Raise EngineError unless the file has the hash in the spec and, as ONNX, its sizes."""
    _stay_inside(path)
    try:
        content = read_regular(path, MAX_MODEL_BYTES)
    except FileNotFoundError:
        raise EngineError(
            f"{path}: no such file, but spec.json names it; fetch the whole bundle again"
        ) from None
    except (OSError, ValueError) as exc:
        raise EngineError(f"{path}: not readable ({exc}); fetch the bundle again") from exc
    found, expected = hashlib.sha256(content).hexdigest(), spec.sha256[path.name]
    if found != expected:
        raise EngineError(
            f"{path}: SHA-256 is {found[:12]}…, spec.json says {expected[:12]}…; "
            "fetch the bundle again or export it anew"
        )
    if any(file == path.name and role != WEIGHTS for role, file in spec.files.items()):
        if path.suffix != ".onnx":  # by which OpenVINO chooses among its many readers
            raise EngineError(f"{path}: a network's file ends in .onnx; export the bundle again")
        try:
            check_graph(memoryview(content), spec)
        except EngineError as exc:
            raise EngineError(f"{path}: {exc}") from exc


def _stay_inside(path: Path) -> None:
    if not inside(path, path.parent):
        raise EngineError(f"{path}: leads out of the bundle's folder; copy the file itself there")


def _find(name_or_path: str | Path) -> Path:
    as_path = Path(name_or_path)
    if as_path.is_dir():
        return as_path
    if as_path.name == str(name_or_path):  # a bare name, no separators
        for shelf in SHELVES:
            if (shelf / as_path / "spec.json").is_file():
                return shelf / as_path
    known = known_bundles()
    there_are = known_names(name_or_path, known) if known else "none are installed"
    raise EngineError(f"{name_or_path}: no such bundle; give a folder with spec.json or a name; {there_are}")
