"""OpenVINO on the processor: the default backend."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import BackendError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.calibrated import CalibratedBackend
from rtpolyp.inference.engine import Goal
from rtpolyp.inference.local_engine import SlotEngine, one_line
from rtpolyp.spec import Precision

__all__ = ["OPENVINO", "OpenVinoEngine", "interpolation", "without_telemetry"]

DEVICE = "CPU"
TELEMETRY = "openvino_telemetry"
SOURCE_PLACES = re.compile(r"Exception from \S+:\d+:|Check '.*?' failed at \S+:\d+:")
HEADLINES = ("Loading input model", "FrontEnd API failed with GeneralFailure:")
MAX_REASON = 300  # characters; it may list every node


class OpenVinoEngine(SlotEngine):
    """Runs a bundle with OpenVINO; the batch is static, so that memory is planned once.

    "fp32" and "bf16" run the same file with another arithmetic, "int8" the quantised one, whose layers that
    stayed in floating point compute in FP32. "latency" gives all threads to one request, "throughput" splits
    them into streams that run a request each. `threads` limits the processor threads in all.

    Raises BackendError when OpenVINO is absent or this processor or bundle cannot give the precision.
    """

    backend = "openvino"

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision = "fp32",
        *,
        optimise_for: Goal = "latency",
        threads: int | None = None,
        batch: int = 1,
    ) -> None:
        core = _core()
        spec = bundle.spec
        path = bundle.model("int8" if precision == "int8" else "fp32")
        if precision not in self.precisions(bundle):
            raise BackendError(_why_not(precision, core))
        config: dict[str, Any] = {
            "PERFORMANCE_HINT": optimise_for.upper(),
            # said always: without it OpenVINO takes bf16 by itself wherever the processor has it
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            # decoder and encoder threads share the cores; a pinned thread could not step aside for them
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            model = core.read_model(path)
            model.reshape({spec.input_name: [batch, spec.height, spec.width, 3]})
            _resize_maps_by_matrices(model)
            compiled = core.compile_model(model, DEVICE, config)
            slots = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            streams = int(compiled.get_property("NUM_STREAMS"))
            used_threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
            self._requests = [compiled.create_infer_request() for _ in range(slots)]
            inputs = [request.get_tensor(spec.input_name).data for request in self._requests]
        except RuntimeError as exc:
            raise BackendError(
                f"{path}: OpenVINO cannot run it as {precision} ({_reason(exc)}); try backend onnxruntime"
            ) from exc
        self.precision = precision
        description = f"openvino {precision}, streams {streams}, threads {used_threads}"
        super().__init__(spec, description, inputs)

    @staticmethod
    def library() -> str:
        """Name and version, e.g. "openvino 2026.4.1"; raises BackendError when it is not installed."""
        return f"openvino {_openvino().__version__.split('-')[0]}"

    @staticmethod
    def precisions(bundle: Bundle) -> tuple[Precision, ...]:
        """The precisions that this processor and the bundle both have, FP32 first."""
        capabilities = _core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
        bf16: tuple[Precision, ...] = ("bf16",) if "BF16" in capabilities else ()
        int8: tuple[Precision, ...] = ("int8",) if "int8" in bundle.spec.files else ()
        offered: tuple[Precision, ...] = ("fp32", *bf16, *int8)
        return tuple(one for one in offered if one not in bundle.spec.left_out)

    def close(self) -> None:
        """Wait for requests in flight and free the compiled network; later calls do nothing."""
        super().close()
        self._requests.clear()

    def _infer(self, slot: int, count: int) -> NDArray[np.uint8]:
        request = self._requests[slot]
        request.infer(share_outputs=True)
        probability: NDArray[np.uint8] = request.get_tensor(self.spec.output_name).data[:count].copy()
        return probability


OPENVINO = CalibratedBackend(OpenVinoEngine, ("fp32", "bf16", "int8"), resizable=True)


def interpolation(size: int, resized: int) -> NDArray[np.float32]:
    """The matrix `(resized, size)` that resizes one axis bilinearly, half-pixel centres."""
    centres = np.clip((np.arange(resized) + 0.5) * size / resized - 0.5, 0, size - 1)
    distance = np.abs(centres[:, np.newaxis] - np.arange(size))
    weights: NDArray[np.float32] = np.maximum(0, 1 - distance).astype(np.float32)
    return weights


def _resize_maps_by_matrices(model: Any) -> None:
    """Write bilinear resizes of maps of one channel as two matrix products; `model` has static shapes.

    OpenVINO's kernel (2026.4) works on many channels at once, and these have one. The products give the
    same bytes and save a seventh of the shipped INT8 network's processor time (13.6 → 11.5 ms on one thread
    of an AMD EPYC with VNNI).
    """
    opset = _openvino().opset13
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Interpolate":
            continue
        source, attributes = node.input_value(0), node.get_attributes()
        before, after = tuple(source.get_shape()), tuple(node.get_output_shape(0))
        is_bilinear = attributes["mode"] in ("linear", "linear_onnx")
        is_half_pixel = attributes["coordinate_transformation_mode"] == "half_pixel"
        grows = all(new >= old for new, old in zip(after, before, strict=True))
        if not (is_bilinear and is_half_pixel and grows and len(before) == 4 and before[1] == after[1] == 1):
            continue
        rows, columns = (interpolation(before[axis], after[axis]) for axis in (2, 3))
        tall = opset.matmul(opset.constant(rows), source, False, False)
        resized = opset.matmul(tall, opset.constant(columns), False, True)
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(resized.output(0))


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep a package of the OpenVINO family silent while it is imported.

    `import openvino` alone reports to Google Analytics (2026.4: from a forked process, unless CI=true). It
    stays silent where its telemetry package cannot be imported, so that is what it is told.
    """
    was_absent, saved = TELEMETRY not in sys.modules, sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment] # Python's own way to make an import fail
    try:
        yield
    finally:
        if was_absent:
            del sys.modules[TELEMETRY]
        else:
            sys.modules[TELEMETRY] = saved  # type: ignore[assignment]


def _openvino() -> Any:
    try:
        with without_telemetry():
            import openvino  # type: ignore[import-untyped] # it ships no types
    except ImportError as exc:
        raise BackendError(f"openvino is not usable ({one_line(exc)}); pip install openvino") from exc
    return openvino


def _core() -> Any:
    core = _openvino().Core()
    if DEVICE not in core.available_devices:
        raise BackendError("openvino has no plugin for this processor; try backend onnxruntime")
    return core


def _reason(exc: Exception) -> str:
    """What OpenVINO says, without the places in its source and its own names of frontends."""
    text = SOURCE_PLACES.sub("", str(exc))
    said = [line for line in map(str.strip, text.splitlines()) if line and line not in HEADLINES]
    return " ".join(said)[:MAX_REASON] or "it gives no reason"


def _why_not(precision: Precision, core: Any) -> str:
    if precision == "bf16":
        name = core.get_property(DEVICE, "FULL_DEVICE_NAME")
        return f"bf16: {name} has no bf16 arithmetic; choose precision fp32 or int8"
    return f"precision {precision!r} is unknown; choose fp32, bf16 or int8"
