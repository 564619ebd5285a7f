"""ONNX Runtime: fallback for OpenVINO on the processor, for TensorRT on a card; the reference for parity."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import BackendError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.calibrated import CalibratedBackend
from rtpolyp.inference.engine import Goal
from rtpolyp.inference.local_engine import SlotEngine, one_line
from rtpolyp.inference.processor import this_processor
from rtpolyp.spec import Precision

__all__ = ["ONNX_RUNTIME", "ONNX_RUNTIME_CUDA", "OnnxRuntimeCudaEngine", "OnnxRuntimeEngine"]

CUDA_FIRST = ("CUDAExecutionProvider", "CPUExecutionProvider")  # the processor takes what CUDA lacks
STREAMS = {"latency": 1, "throughput": 2}  # requests in flight; they share one pool of threads


class OnnxRuntimeEngine(SlotEngine):
    """Runs a bundle with ONNX Runtime, FP32 or INT8, on the `providers` in order of preference.

    Raises BackendError when ONNX Runtime or a provider is absent, or the bundle has no such precision.
    """

    backend = "onnxruntime"

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
            raise BackendError(
                f"onnxruntime has no {missing[0]}, only {there_are}; "
                'for CUDA pip install "onnxruntime-gpu[cuda,cudnn]"'
            )
        if "CUDAExecutionProvider" in providers:
            ort.preload_dlls()  # from NVIDIA's packages on PyPI, which are on no library path
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
        used = self._session.get_providers()[0]
        if used != providers[0]:  # one whose libraries do not load is left out without an error
            raise BackendError(
                f"{path}: ONNX Runtime runs it on {used} alone, since {providers[0]} does not load; "
                'pip install "onnxruntime-gpu[cuda,cudnn]", and see nvidia-smi'
            )
        spec = bundle.spec
        shape = (batch, spec.height, spec.width, 3)
        inputs = [np.zeros(shape, np.uint8) for _ in range(STREAMS[optimise_for])]
        provider = used.removesuffix("ExecutionProvider")
        description = (
            f"onnxruntime {precision} on {provider}, streams {len(inputs)}, "
            f"threads {options.intra_op_num_threads}"
        )
        self.precision = precision
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


class OnnxRuntimeCudaEngine(OnnxRuntimeEngine):
    """The same on an NVIDIA card, in FP32; pip install "onnxruntime-gpu[cuda,cudnn]" brings the provider.

    The bundle's INT8 is for processors, and its FP16 is made while a plan is built: TensorRT runs that.
    """

    backend = "onnxruntime-cuda"

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision = "fp32",
        *,
        optimise_for: Goal = "latency",
        threads: int | None = None,
        batch: int = 1,
    ) -> None:
        if precision != "fp32":
            raise BackendError(
                f"onnxruntime runs fp32 on CUDA, not {precision}; build a plan, or precision fp32"
            )
        super().__init__(
            bundle, "fp32", optimise_for=optimise_for, threads=threads, batch=batch, providers=CUDA_FIRST
        )

    @staticmethod
    def precisions(bundle: Bundle) -> tuple[Precision, ...]:
        """FP32 alone."""
        return ("fp32",)


ONNX_RUNTIME = CalibratedBackend(OnnxRuntimeEngine, ("fp32", "int8"))
ONNX_RUNTIME_CUDA = CalibratedBackend(
    OnnxRuntimeCudaEngine, ("fp32",), suits=lambda bundle, card: card is not None
)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as exc:
        raise BackendError(f"onnxruntime is not usable ({one_line(exc)}); pip install onnxruntime") from exc
    return onnxruntime
