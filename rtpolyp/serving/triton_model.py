"""TritonPythonModel: rtpolyp's OpenVINO engine as a model of Triton's Python backend."""

import ctypes
import json
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import RtpolypError
from rtpolyp.inference.backend import EngineOptions
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.calibration import cache_folder
from rtpolyp.inference.engine import Engine, Prediction
from rtpolyp.inference.openvino import OPENVINO, OpenVinoEngine
from rtpolyp.measure.golden import check_golden, read_golden

__all__ = ["TritonPythonModel", "open_checked", "predict_all"]

ANSWER_SECONDS = 30.0


def open_checked(folder: Path, precision: str) -> tuple[Engine, str]:
    """Open a bundle for throughput, and compare its golden frame; return the engine and what came of it.

    Raises EngineError where it does not open, WrongResult where this machine computes something else.
    """
    bundle = load_bundle(folder)
    options = EngineOptions("throughput", threads=None, batch=1, cache=cache_folder())
    engine = OPENVINO.open(bundle, precision, options)
    assert isinstance(engine, OpenVinoEngine)
    try:
        if (golden := read_golden(bundle)) is None:
            return engine, "the bundle has no golden frame, so nothing was compared"
        return engine, f"golden frame: {check_golden(engine, golden, engine.precision)}"
    except BaseException:
        engine.close()
        raise


def predict_all(engine: Engine, requests: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The probability `(N, H, W)` of each request's frames `(N, H, W, 3)`, as many at once as fit.

    Raises EngineError where one fails.
    """
    found: list[NDArray[np.uint8]] = []
    in_flight: deque[Future[Prediction]] = deque()
    for frame in (frame for frames in requests for frame in frames):
        if len(in_flight) == engine.capacity:
            found.append(in_flight.popleft().result(ANSWER_SECONDS).probability)
        in_flight.append(engine.submit(frame[np.newaxis]))
    found.extend(future.result(ANSWER_SECONDS).probability for future in in_flight)
    ends = np.cumsum([len(frames) for frames in requests])
    return np.split(np.concatenate(found), ends[:-1])


class TritonPythonModel:
    """What Triton calls; it refuses to load where the golden frame does not match."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the bundle beside the model's file."""
        self._triton = _triton()
        config = json.loads(args["model_config"])
        self._input, self._output = config["input"][0]["name"], config["output"][0]["name"]
        folder = Path(args["model_repository"], args["model_version"], "bundle")
        logging.basicConfig(level=logging.WARNING)
        try:
            precision = config["parameters"]["rtpolyp_precision"]["string_value"]
            self._engine, checked = open_checked(folder, precision)
        except RtpolypError as exc:
            raise self._triton.TritonModelException(str(exc)) from exc
        self._triton.Logger.log_info(f"{args['model_name']}: {self._engine.description}; {checked}")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer the requests of one run, which dynamic batching has brought together."""
        inputs = (self._triton.get_input_tensor_by_name(one, self._input) for one in requests)
        frames: list[NDArray[Any]] = [np.from_dlpack(tensor) for tensor in inputs]
        try:
            found = predict_all(self._engine, frames)
        except RtpolypError as exc:
            error = self._triton.TritonError(str(exc))
            return [self._triton.InferenceResponse(error=error) for _ in requests]
        tensors = (self._triton.Tensor.from_dlpack(self._output, _Lent(one)) for one in found)
        return [self._triton.InferenceResponse([tensor]) for tensor in tensors]

    def finalize(self) -> None:
        """Close the engine."""
        self._engine.close()


class _Lent:
    """An array as Triton takes it by DLPack; arrays themselves pass both ways as garbage.

    Triton 2.51 reads the size of an element where NumPy 2 keeps something else. It also renames the capsule
    in a way that NumPy's destructor complains of, for each frame, so it is given none: Triton gives the
    array back by itself.
    """

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self._array = array

    def __dlpack__(self, **options: object) -> object:
        capsule = self._array.__dlpack__()
        ctypes.pythonapi.PyCapsule_SetDestructor(ctypes.py_object(capsule), None)
        return capsule

    def __dlpack_device__(self) -> tuple[Any, Any]:
        return self._array.__dlpack_device__()


def _triton() -> Any:
    """The module that Triton's Python backend has inside the server alone."""
    import triton_python_backend_utils  # type: ignore[import-not-found]

    return triton_python_backend_utils
