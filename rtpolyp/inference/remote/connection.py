"""What a transport offers to the remote engine, and how a model's configuration is read."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtpolyp.bounded_files import parse_json
from rtpolyp.errors import EngineError
from rtpolyp.inference.remote.address import RemoteAddress
from rtpolyp.spec import EngineSpec, parse_spec

__all__ = ["MAX_ANSWER_BYTES", "SPEC_PARAMETER", "Connection", "read_served"]

SPEC_PARAMETER = "rtpolyp_spec"  # of a model's configuration: its EngineSpec as JSON
MAX_ANSWER_BYTES = 64 << 20


class Connection(Protocol):
    """Requests to one served model; any thread may make them, and several at once.

    Each raises EngineError in one line where the server cannot be reached, answers an error, or gives no
    answer in `seconds`. A connection that was lost is made again by the next request.
    """

    def config(self, seconds: float) -> Mapping[str, Any]:
        """The model's configuration, as Triton's JSON has it."""

    def infer(self, spec: EngineSpec, frames: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """The probability of `frames: (N, H, W, 3) uint8`, in memory of its own."""

    def close(self) -> None:
        """Free the connections."""


def read_served(config: Mapping[str, Any], address: RemoteAddress) -> tuple[EngineSpec, int]:
    """The spec of a served model, and how many frames a request may hold.

    Raises EngineError where the configuration has no spec, or input and output are not the spec's.
    """
    try:
        text = config["parameters"][SPEC_PARAMETER]["string_value"]
        most = int(config["max_batch_size"])
        ends = [
            (str(end["name"]), str(end["data_type"]), [int(size) for size in end["dims"]])
            for end in (*config["input"], *config["output"])
        ]
    except (KeyError, TypeError, ValueError):
        raise EngineError(
            f"{address}: a model without rtpolyp's settings; serve what `rtpolyp serve-export` writes"
        ) from None
    try:
        spec = parse_spec(parse_json(text), f"{address}'s {SPEC_PARAMETER}")
    except ValueError as exc:
        raise EngineError(f"{address}: its {SPEC_PARAMETER} is not JSON ({exc}); export it again") from None
    promised = [
        (spec.input_name, "TYPE_UINT8", [spec.height, spec.width, 3]),
        (spec.output_name, "TYPE_UINT8", [spec.height, spec.width]),
    ]
    if ends != promised or most < 1:
        found = "; ".join(f"{name} {kind} {sizes}" for name, kind, sizes in ends[:3])
        raise EngineError(
            f"{address}: a model of another shape: {found[:200]}, where its settings say "
            f"{spec.width}x{spec.height}; export it again by rtpolyp serve-export"
        )
    return spec, most
