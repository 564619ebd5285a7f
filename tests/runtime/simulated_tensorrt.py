"""TensorRT's runtime on the simulated GPU: the calls that our runtime makes of either flavour, and no others.

Plans are real files, header, sidecar and hash included; only what is inside is no network.
"""

import contextlib
import hashlib
import tempfile
import types
from pathlib import Path
from unittest import mock

from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.engine import Goal
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt import engine as tensorrt
from rtpolyp.inference.tensorrt.engine import TensorRtEngine
from rtpolyp.inference.tensorrt.flavour import Flavour, Library
from rtpolyp.inference.tensorrt.plan import Plan, PlanSpec, TensorSpec, read_plan, this_platform, write_plan
from rtpolyp.spec import EngineSpec
from tests.runtime.simulated_device import SimulatedDevice
from tests.runtime.simulated_network import SimulatedContext

CARD = Card("NVIDIA Simulated", "sm89", "13.0", "580.65.06")
HEADERS: dict[Flavour, bytes] = {"tensorrt": b"ftrt", "tensorrt-rtx": b"vtrt"}
VERSIONS: dict[Flavour, str] = {"tensorrt": "10.13.3.9", "tensorrt-rtx": "1.7.1.116"}


def simulated_plan(
    folder: Path, engine: EngineSpec, flavour: Flavour, *, batch: tuple[int, int, int] = (1, 1, 4), **changes
) -> Plan:
    """A plan's files, as the builder writes them, read back; `changes` are fields of PlanSpec."""
    numbers = bytes(int(number) for number in VERSIONS[flavour].split("."))
    content = HEADERS[flavour] + bytes(20) + numbers + b"no network"

    def tensor(name: str, *shape: int) -> TensorSpec:
        varies = -1 if batch[0] < batch[2] else batch[0]
        return TensorSpec(name, "uint8", (varies, *shape), *((frames, *shape) for frames in batch))

    values = {
        "flavour": flavour,
        "tensorrt_version": VERSIONS[flavour],
        "plan_sha256": hashlib.sha256(content).hexdigest(),
        "onnx_sha256": "0" * 64,
        "source_sha256": "0" * 64,
        "bundle_digest": "0" * 16,
        "precision": "fp16",
        "capabilities": (CARD.capability,),
        "gpu": None,
        "driver": None,
        "cuda": None,
        "platform": this_platform(),
        "flags": (),
        "inputs": (tensor("frames", engine.height, engine.width, 3),),
        "outputs": (tensor("probability", engine.height, engine.width),),
        "preprocessing": "none",
        "operations": {},
        "weights": {},
        "build_seconds": 0.0,
        "parity": {},
        "trained": True,
        "rebuild": f"python scripts/build_engine.py --net {engine.name}",
        "engine": engine,
    }
    spec = PlanSpec(**(values | changes))
    path = folder / spec.file_name
    write_plan(path, content, spec)
    return read_plan(path, untrained=True)


class _Context:
    def __init__(self, simulation: "SimulatedTensorRt") -> None:
        self._simulation = simulation
        self._context = SimulatedContext(simulation.device, *simulation.size)
        self._shape: tuple[int, ...] = ()
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = shape
        least, most = self._simulation.batch[0], self._simulation.batch[2]
        return self._simulation.allows("set_input_shape") and name == "frames" and least <= shape[0] <= most

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return self._simulation.allows("set_tensor_address") and name in ("frames", "probability")

    def execute_async_v3(self, stream_handle: int) -> bool:
        if not self._simulation.allows("execute_async_v3"):
            return False
        stream = self._simulation.device.stream_of(stream_handle)
        addresses = self._addresses["frames"], self._addresses["probability"]
        self._context.enqueue(self._shape[0], *addresses, stream)
        return True


class _Engine:
    def __init__(self, simulation: "SimulatedTensorRt") -> None:
        self._simulation = simulation

    def create_execution_context(self) -> _Context | None:
        return _Context(self._simulation) if self._simulation.allows("create_execution_context") else None


class _RuntimeCache:
    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, blob: bytes) -> bool:
        self.content = blob if blob.startswith(b"kernels") else b""
        return bool(self.content)

    def serialize(self) -> bytes:
        return self.content


class _RuntimeConfig:
    __slots__ = ("cache", "cuda_graph_strategy", "dynamic_shapes_kernel_specialization_strategy")

    def create_runtime_cache(self) -> _RuntimeCache:
        return _RuntimeCache()

    def set_runtime_cache(self, cache: _RuntimeCache) -> bool:
        self.cache = cache
        return True


class _RtxEngine(_Engine):
    def create_runtime_config(self) -> _RuntimeConfig:
        return _RuntimeConfig()

    def create_execution_context(self, runtime_config: _RuntimeConfig) -> _Context | None:
        assert runtime_config.cuda_graph_strategy == "whole graph"
        if not runtime_config.cache.content:
            self._simulation.compilations += 1
            runtime_config.cache.content = b"kernels"
        return super().create_execution_context()


class SimulatedTensorRt:
    """One flavour's module and driver; `refuses` names a call that says no, with a reason in the log."""

    def __init__(self, device: SimulatedDevice, plan: Plan, *, refuses: str | None = None) -> None:
        self.device, self.refuses, self.compilations = device, refuses, 0
        self.batch, self.size = plan.spec.batch, (plan.spec.engine.height, plan.spec.engine.width)
        self.flavour = plan.spec.flavour
        self._listeners: list[list[str]] = []
        engine = _RtxEngine if self.flavour == "tensorrt-rtx" else _Engine

        class Runtime:
            def __init__(runtime, logger: object) -> None:
                assert logger == "the logger"

            def deserialize_cuda_engine(runtime, serialized_engine: bytes) -> _Engine | None:
                assert serialized_engine == plan.content
                return engine(self) if self.allows("deserialize_cuda_engine") else None

        module = types.SimpleNamespace(
            __version__=VERSIONS[self.flavour],
            Runtime=Runtime,
            CudaGraphStrategy=types.SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole graph"),
            DynamicShapesKernelSpecializationStrategy=types.SimpleNamespace(EAGER="eager"),
        )
        self.library = Library(self.flavour, module, "the logger", self._listeners)

    def allows(self, call: str) -> bool:
        self.device.call(call)
        if call != self.refuses:
            return True
        for heard in self._listeners:
            heard.append(f"{call} has its reasons")
        return False

    def installed(self, **others: object) -> contextlib.AbstractContextManager[object]:
        """Have TensorRtEngine find this library, device and CARD while it opens, or `others`."""
        found = {
            "find_card": lambda: CARD,
            "installed_flavours": lambda: {self.flavour: VERSIONS[self.flavour]},
            "load_flavour": lambda flavour: self.library,
            "CudaDevice": lambda: self.device,
        }
        return mock.patch.multiple(tensorrt, **(found | others))


def simulated_engine(
    flavour: Flavour, bundle: Bundle, *, optimise_for: Goal = "latency", batch: int = 1
) -> TensorRtEngine:
    """TensorRtEngine on the simulated GPU, with a plan of its own that takes up to four frames."""
    with tempfile.TemporaryDirectory() as folder:
        plan = simulated_plan(Path(folder), bundle.spec, flavour)
        with SimulatedTensorRt(SimulatedDevice(eagerness=0.5), plan).installed():
            return TensorRtEngine(plan, batch=batch, cache=Path(folder))
