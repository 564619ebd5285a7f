"""TensorRT: runs a plan of either flavour on overlapped CUDA streams."""

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rtpolyp.errors import BackendError
from rtpolyp.inference.atomic_file import write_whole
from rtpolyp.inference.calibration import cache_folder
from rtpolyp.inference.local_engine import one_line
from rtpolyp.inference.nvidia_card import Card, find_card
from rtpolyp.inference.tensorrt.cuda import CudaDevice
from rtpolyp.inference.tensorrt.device import Device, Enqueue, Memory, NetworkOnDevice, Stream
from rtpolyp.inference.tensorrt.flavour import Library, installed_flavours, load_flavour
from rtpolyp.inference.tensorrt.plan import Plan
from rtpolyp.inference.tensorrt.streams import SLOTS, StreamEngine

__all__ = ["TensorRtEngine", "open_network"]

log = logging.getLogger(__name__)


class TensorRtEngine(StreamEngine):
    """Runs a plan on the first visible card, `slots` requests at once.

    `plan` comes from plan.read_plan, which has verified it; `batch` is the most frames of a submit.
    TensorRT for RTX compiles its kernels for the card before the first frame. That takes seconds and is said
    aloud; `cache` (default: calibration.cache_folder) keeps them for the next start.

    Raises ForeignPlan where the plan is for another card, version, flavour or system, and BackendError where
    the plan takes fewer frames than `batch`, or where TensorRT, pycuda, driver or card do not work.
    """

    backend = "tensorrt"

    def __init__(self, plan: Plan, *, batch: int = 1, slots: int = SLOTS, cache: Path | None = None) -> None:
        card = find_card()
        plan.check_machine(installed_flavours(), card)
        assert card is not None  # a plan for no card is foreign
        most = plan.spec.batch[2]
        if batch > most:
            raise BackendError(
                f"{plan.path}: takes at most {most} frames at once, asked for {batch}; "
                f"build it with batch 1:{batch}:{batch}"
            )
        self.precision = plan.spec.precision
        opened = partial(open_network, plan, card, cache or cache_folder())
        super().__init__(plan.spec.engine, opened, batch=batch, slots=slots)


@contextlib.contextmanager
def open_network(plan: Plan, card: Card, cache: Path) -> Iterator[tuple[Device, NetworkOnDevice]]:
    """A plan on a card, for the thread that enters; raises as TensorRtEngine does."""
    library = load_flavour(plan.spec.flavour)
    with CudaDevice() as device, library.complaints() as heard:
        network = _RtxNetwork if library.name == "tensorrt-rtx" else _Network
        with contextlib.closing(network(plan, card, library, heard, cache)) as loaded:
            yield device, loaded


class _Execution:
    """An execution context with its shape and addresses; calling it enqueues one run."""

    def __init__(self, network: "_Network", context: Any, stream: Stream) -> None:
        self.context: Any = context  # None once the network is closed
        self._network, self._handle = network, stream.handle

    def __call__(self) -> None:
        self._network.check(self.context.execute_async_v3(self._handle), "enqueue")


class _Network:
    """A plan that TensorRT has loaded; the slots capture its work as graphs."""

    replays = False

    def __init__(self, plan: Plan, card: Card, library: Library, heard: list[str], cache: Path) -> None:
        self.description = f"{library.name} {plan.spec.precision} on {card.name}"
        self.least = plan.spec.batch[0]
        self._plan, self._trt, self._heard = plan, library.trt, heard
        self._executions: list[_Execution] = []
        self._runtime = self._trt.Runtime(library.logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan.content)
        if self._engine is None:
            raise BackendError(
                f"{plan.path}: built for {plan.spec.built_for}; {library.name} {library.version} on {card} "
                f"refuses it ({self._reason()}). Rebuild: {plan.spec.rebuild}"
            )

    def execution(self, count: int, frames: Memory, probability: Memory, stream: Stream) -> Enqueue:
        """A context for `count` frames between two pieces of memory."""
        (source,), (target,) = self._plan.spec.inputs, self._plan.spec.outputs
        context = self._context()
        self.check(context is not None, "create_execution_context")
        self.check(context.set_input_shape(source.name, (count, *source.shape[1:])), "set_input_shape")
        for name, address in ((source.name, frames), (target.name, probability)):
            self.check(context.set_tensor_address(name, address), "set_tensor_address")
        self._executions.append(_Execution(self, context, stream))
        return self._executions[-1]

    def warmed_up(self) -> None:
        """Nothing to keep: the plan holds its kernels."""

    def close(self) -> None:
        """Free contexts, engine and runtime, on this thread, whoever still holds an execution."""
        for execution in self._executions:
            execution.context = None
        self._engine = self._runtime = None

    def check(self, succeeded: bool, call: str) -> None:
        """Raise RuntimeError with what TensorRT logged where a call says that it failed."""
        if not succeeded:
            raise RuntimeError(f"{call}: {self._reason()}")

    def _context(self) -> Any:
        return self._engine.create_execution_context()

    def _reason(self) -> str:
        reason = "; ".join(self._heard) or "TensorRT logged no reason"
        self._heard.clear()
        return reason


class _RtxNetwork(_Network):
    """A plan of TensorRT for RTX, which compiles kernels on the card, and replays graphs, by itself."""

    replays = True

    def __init__(self, plan: Plan, card: Card, library: Library, heard: list[str], cache: Path) -> None:
        super().__init__(plan, card, library, heard, cache)
        key = f"{plan.spec.plan_sha256} {card.capability} {card.cuda} {card.driver}"
        self._path = cache / f"rtx-kernels-{hashlib.sha256(key.encode()).hexdigest()[:16]}.cache"
        self._config = self._engine.create_runtime_config()
        self._config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        # a batch size's kernels before its first frame, not in the background while frames wait
        self._config.dynamic_shapes_kernel_specialization_strategy = (
            self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        self._kernels = self._config.create_runtime_cache()
        self._known = self._path.is_file() and self._kernels.deserialize(self._path.read_bytes())
        self._config.set_runtime_cache(self._kernels)
        if not self._known:
            log.warning("%s: compiling its kernels for %s, once; this takes seconds", plan.path, card)

    def warmed_up(self) -> None:
        """Keep the kernels for the next start; a folder that cannot be written costs only that."""
        if self._known:
            return
        try:
            write_whole(self._path, bytes(self._kernels.serialize()))
        except OSError as exc:
            log.info("%s: not written (%s); the next start compiles again", self._path, one_line(exc))

    def close(self) -> None:
        """Free all, the cache of kernels last."""
        super().close()
        self._config = self._kernels = None

    def _context(self) -> Any:
        return self._engine.create_execution_context(self._config)
