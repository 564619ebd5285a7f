"""ONNX Runtime: the fallback where OpenVINO is missing, and the reference for parity."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import BackendError
from rtpolyp.inference.base import SlotEngine, one_line
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.engine import Goal
from rtpolyp.inference.processor import this_processor
from rtpolyp.spec import Precision

__all__ = ["OnnxRuntimeEngine"]

STREAMS = {"latency": 1, "throughput": 2}  # requests in flight; they share one pool of threads


class OnnxRuntimeEngine(SlotEngine):
    """Runs a bundle with ONNX Runtime, FP32 or INT8, on the `providers` in order of preference.

    Raises BackendError when ONNX Runtime or a provider is absent, or the bundle has no such precision.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision = "fp32",
        *,
        optimise_for: Goal = "latency",
        threads: int | None = None,
        batch: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        ort = _onnxruntime()
        if precision not in ("fp32", "int8"):
            raise BackendError(f"onnxruntime runs fp32 and int8, not {precision}; use backend openvino")
        path = bundle.model(precision)
        if missing := [name for name in providers if name not in ort.get_available_providers()]:
            there_are = ", ".join(ort.get_available_providers())
            raise BackendError(f"onnxruntime has no {missing[0]}; this installation has {there_are}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or this_processor().cores
        options.log_severity_level = 4  # failures are raised, so not printed as well
        # idle threads would spin, on the very cores that decode and encode
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = ort.InferenceSession(str(path), options, providers=list(providers))
        except Exception as exc:  # its exceptions have no common base but Exception
            raise BackendError(
                f"{path}: ONNX Runtime cannot run it ({one_line(exc)}); export the bundle again"
            ) from exc
        spec = bundle.spec
        shape = (batch, spec.height, spec.width, 3)
        inputs = [np.zeros(shape, np.uint8) for _ in range(STREAMS[optimise_for])]
        provider = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        description = (
            f"onnxruntime {precision} on {provider}, streams {len(inputs)}, "
            f"threads {options.intra_op_num_threads}"
        )
        super().__init__(spec, description, inputs)

    @staticmethod
    def library() -> str:
        """Name and version, e.g. "onnxruntime 1.32.0"; raises BackendError when it is not installed."""
        return f"onnxruntime {_onnxruntime().__version__}"

    @staticmethod
    def precisions(bundle: Bundle) -> tuple[Precision, ...]:
        """The precisions that the bundle has and the processor provider runs, FP32 first."""
        return ("fp32", "int8") if "int8" in bundle.spec.files else ("fp32",)

    def close(self) -> None:
        """Wait for requests in flight and free the session; later calls do nothing."""
        super().close()
        self._session = None

    def _infer(self, slot: int, count: int) -> NDArray[np.uint8]:
        feed = {self.spec.input_name: self._inputs[slot][:count]}
        probability: NDArray[np.uint8] = self._session.run([self.spec.output_name], feed)[0]
        return probability


def _onnxruntime() -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped] # it ships no types
    except ImportError as exc:
        raise BackendError(f"onnxruntime is not usable ({one_line(exc)}); pip install onnxruntime") from exc
    return onnxruntime
