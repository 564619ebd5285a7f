"""What each field of EngineSpec may hold: the one place where type, range and finiteness are checked."""

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import EngineError

__all__ = ["MULTIPLE", "SCHEMA", "check_field"]

SCHEMA = 1
MULTIPLE = 32  # the stride of every network's deepest stage
MAX_SIDE = 4096  # pixels
MAX_FILES = 64
MAX_IMAGES = 200_000
MAX_DEPTH = 16  # of metrics and training
MAX_NUMBER = 1e300
MAX_TRAITS = 32  # of appearance
MAX_SOURCES = 64
SMALLEST_VARIANCE = 1e-9
MAX_TRAIT = 1e6  # a mean, a covariance or a limit; brightness has the largest, 255 and its square
MAX_RUNS = 100_000  # characters of a mask's run lengths
MAX_SHOWN = 120  # characters of a value in a message

NAME = re.compile(r"\w[\w.+ @=-]{0,99}")
ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
FILE = re.compile(r"\w[\w.+-]{0,99}")
TENSOR = re.compile(r"[\w./:+-]{1,200}")
TRAIT = re.compile(r"[a-z][a-z ]{0,31}")
SOURCE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
SHA256 = re.compile(r"[0-9a-f]{64}")
FINGERPRINT = re.compile(r"[0-9a-f]{16}")
RUNS = re.compile(r"[0-9]{1,8}( [0-9]{1,8})*")


@dataclass(frozen=True)
class _Field:
    """A test, and the words for what passes it."""

    expected: str
    holds: Callable[[Any], bool]
    remedy: str = "correct it in spec.json or export the bundle again"


def check_field(name: str, value: object) -> None:
    """Raise EngineError, with field, value and remedy, unless `value` may stand in the field `name`."""
    field = FIELDS[name]
    if not field.holds(value):
        raise EngineError(f"{name} is {_shown(value)}, not {field.expected}; {field.remedy}")


def _shown(value: object) -> str:
    """A value of any kind and size, short and on one line."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 48
    short.maxlevel = short.maxdict = short.maxlist = short.maxtuple = 2
    try:
        text = short.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return f"a huge {type(value).__name__}"
    return (
        text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    )  # parts are short, a value may have many


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: object) -> bool:
    """Infinity and NaN are none: no comparison with them holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER


def _is_side(value: Any) -> bool:
    return _is_whole(value) and MULTIPLE <= value <= MAX_SIDE and value % MULTIPLE == 0


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _maps(key: re.Pattern[str], to: re.Pattern[str]) -> Callable[[object], bool]:
    is_key, is_value = _matches(key), _matches(to)
    return lambda value: (
        isinstance(value, Mapping)
        and len(value) <= MAX_FILES
        and all(is_key(one) and is_value(other) for one, other in value.items())
    )


def _is_plain(value: object, depth: int = MAX_DEPTH) -> bool:
    """Whether JSON writes `value` and reads it again, without infinity, NaN or great depth."""
    if isinstance(value, Mapping):
        return depth > 0 and all(
            isinstance(key, str) and _is_plain(inner, depth - 1) for key, inner in value.items()
        )
    if isinstance(value, list | tuple):
        return depth > 0 and all(_is_plain(inner, depth - 1) for inner in value)
    return value is None or isinstance(value, str | bool) or _is_real(value)


def _is_plain_object(value: object) -> bool:
    return isinstance(value, Mapping) and _is_plain(value)


def _are_fingerprints(value: object) -> bool:
    is_one = _matches(FINGERPRINT)
    return isinstance(value, tuple) and len(value) <= MAX_IMAGES and all(map(is_one, value))


def _is_appearance(value: object) -> bool:
    """Whether it is empty, or what TrainingSources reads: means and covariances of the sources' traits."""
    if value == {}:
        return True
    if not isinstance(value, Mapping) or value.keys() != {"traits", "limit", "sources"}:
        return False
    traits, limit, sources = value["traits"], value["limit"], value["sources"]
    return (
        isinstance(traits, list)
        and 0 < len(traits) <= MAX_TRAITS
        and all(map(_matches(TRAIT), traits))
        and len(set(traits)) == len(traits)
        and _is_real(limit)
        and 0 < limit <= MAX_TRAIT
        and isinstance(sources, Mapping)
        and 0 < len(sources) <= MAX_SOURCES
        and all(map(_matches(SOURCE), sources))
        and all(_is_source(one, len(traits)) for one in sources.values())
    )


def _is_source(value: object, traits: int) -> bool:
    if not isinstance(value, Mapping) or value.keys() != {"frames", "mean", "covariance"}:
        return False
    frames, mean, covariance = value["frames"], value["mean"], value["covariance"]
    return (
        _is_whole(frames)
        and 0 < frames <= MAX_IMAGES
        and _is_vector(mean, traits)
        and isinstance(covariance, list)
        and len(covariance) == traits
        and all(_is_vector(row, traits) for row in covariance)
        and _is_positive_definite(np.array(covariance, np.float64))
    )


def _is_vector(value: object, length: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == length
        and all(_is_real(one) and abs(one) <= MAX_TRAIT for one in value)
    )


def _is_positive_definite(matrix: NDArray[np.float64]) -> bool:
    """Whether distances can be measured by it: each direction has a spread that rounding does not hide."""
    return bool((matrix == matrix.T).all() and np.linalg.eigvalsh(matrix).min() > SMALLEST_VARIANCE)


def _is_golden(value: Any) -> bool:
    """Empty, or a frame's file and hash, and for each precision a mask's run lengths and hash."""
    if not (isinstance(value, Mapping) and value):
        return isinstance(value, Mapping)
    masks = value.get("masks")
    return (
        value.keys() == {"frame", "sha256", "masks"}
        and _matches(FILE)(value["frame"])
        and _matches(SHA256)(value["sha256"])
        and isinstance(masks, Mapping)
        and "fp32" in masks
        and len(masks) <= MAX_FILES
        and all(_matches(ROLE)(precision) and _is_mask(mask) for precision, mask in masks.items())
    )


def _is_mask(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() == {"runs", "sha256"}
        and isinstance(value["runs"], str)
        and len(value["runs"]) <= MAX_RUNS
        and _matches(RUNS)(value["runs"])
        and _matches(SHA256)(value["sha256"])
    )


_NAME = _Field("a name of up to 100 letters, digits and . + - _ = @ or spaces", _matches(NAME))
_SIDE = _Field(f"a multiple of {MULTIPLE} from {MULTIPLE} to {MAX_SIDE}", _is_side)
_TENSOR = _Field("a tensor's name of up to 200 letters, digits and . / : + - _", _matches(TENSOR))
_PLAIN = _Field(
    f"an object of finite numbers, texts, lists and objects up to {MAX_DEPTH} deep", _is_plain_object
)

FIELDS: dict[str, _Field] = {
    "name": _NAME,
    "network": _NAME,
    "encoder": _NAME,
    "height": _SIDE,
    "width": _SIDE,
    "threshold": _Field("a number between 0 and 1", lambda value: _is_real(value) and 0 < value < 1),
    "minimum_area": _Field("a number from 0 to below 1", lambda value: _is_real(value) and 0 <= value < 1),
    "minimum_confidence": _Field(
        "a number from 0 to below 1", lambda value: _is_real(value) and 0 <= value < 1
    ),
    "files": _Field("an object of roles and names of files beside spec.json", _maps(ROLE, FILE)),
    "sha256": _Field("an object of files' names and SHA-256 in hexadecimal", _maps(FILE, SHA256)),
    "input_name": _TENSOR,
    "output_name": _TENSOR,
    "metrics": _PLAIN,
    "training": _PLAIN,
    "appearance": _Field(
        f"empty, or up to {MAX_TRAITS} traits, a limit above 0, and up to {MAX_SOURCES} sources with frames, "
        "a mean of each trait and a positive definite covariance of all",
        _is_appearance,
    ),
    "trained_on": _Field("a list of fingerprints, 16 hexadecimal digits each", _are_fingerprints),
    "golden": _Field("an object of frame, sha256 and masks, FP32's among them", _is_golden),
    "schema": _Field(
        f"{SCHEMA}, which this version of rtpolyp reads",
        lambda value: _is_whole(value) and value == SCHEMA,
        "export the bundle again, or update rtpolyp where the number is higher",
    ),
}
