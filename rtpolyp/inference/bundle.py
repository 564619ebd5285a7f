"""A bundle: one network's folder with its ONNX files, spec and model card, verified before use."""

from dataclasses import dataclass
from pathlib import Path

from rtpolyp.errors import BackendError, EngineError
from rtpolyp.spec import EngineSpec, read_spec, sha256_of

__all__ = ["DEFAULT_BUNDLE", "Bundle", "known_bundles", "load_bundle"]

DEFAULT_BUNDLE = "pranet-if"

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
            raise BackendError(
                f"{self.folder}: no {role} model in this bundle; it has {', '.join(sorted(self.spec.files))}"
            )
        return self.folder / self.spec.files[role]

    @property
    def digest(self) -> str:
        """EngineSpec.digest."""
        return self.spec.digest


def load_bundle(name_or_path: str | Path = DEFAULT_BUNDLE) -> Bundle:
    """Find a bundle by folder, or by name among those shipped, and verify it.

    Raises EngineError when there is no such bundle, when its spec cannot be read, and when a file is missing
    or differs from the spec's SHA-256.
    """
    folder = _find(name_or_path)
    spec = read_spec(folder / "spec.json")
    for file in sorted({*spec.files.values(), *spec.sha256}):
        path = folder / file
        if file not in spec.sha256:
            raise EngineError(f"{folder / 'spec.json'}: no SHA-256 for {file}; export the bundle again")
        if not path.is_file():
            raise EngineError(f"{path}: no such file, but spec.json names it; fetch the whole bundle again")
        if (found := sha256_of(path)) != spec.sha256[file]:
            raise EngineError(
                f"{path}: SHA-256 is {found[:12]}…, spec.json says {spec.sha256[file][:12]}…; "
                "fetch the bundle again or export it anew"
            )
    return Bundle(folder, spec)


def known_bundles() -> list[str]:
    """Names of the bundles that `load_bundle` finds without a folder."""
    names = {spec.parent.name for shelf in SHELVES for spec in shelf.glob("*/spec.json")}
    return sorted(name for name in names if not name.startswith("."))  # an export that is not finished


def _find(name_or_path: str | Path) -> Path:
    as_path = Path(name_or_path)
    if as_path.is_dir():
        return as_path
    if as_path.name == str(name_or_path):  # a bare name, no separators
        for shelf in SHELVES:
            if (shelf / as_path / "spec.json").is_file():
                return shelf / as_path
    known = known_bundles()
    there_are = f"there are: {', '.join(known)}" if known else "none are installed"
    raise EngineError(f"{name_or_path}: no such bundle; give a folder with spec.json or a name; {there_are}")
