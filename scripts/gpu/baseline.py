"""Measure a network without TensorRT: PyTorch eager, PyTorch with a CUDA graph, or ONNX Runtime.

python -m scripts.gpu.baseline --net pranet-if --encoder res2net50 --side 352 --backend pytorch-graph
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rtpolyp.errors import BackendError
from rtpolyp.inference.engine import Engine, Prediction, Timing
from rtpolyp.inference.onnxruntime import OnnxRuntimeCudaEngine, OnnxRuntimeEngine
from rtpolyp.spec import EngineSpec
from scripts.gpu.cases import Case, Device, bundle_of, source_of
from scripts.gpu.figures import measured
from scripts.gpu.step import step_app, step_main

Framework = Literal["pytorch-eager", "pytorch-graph", "onnxruntime"]


app = step_app(__doc__)


@app.default
def main(*, case: Case, backend: Framework, device: Device = "cuda", seconds: float = 3.0) -> dict[str, Any]:
    """Open and measure."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_baseline(case, backend, device, Path(folder)) as engine,
    ):
        return measured(engine, seconds)


def open_baseline(case: Case, backend: Framework, device: Device, folder: Path) -> Engine:
    """The network on a backend, as an engine."""
    if backend != "onnxruntime":
        return TorchEngine(case, device, graph=backend == "pytorch-graph")
    bundle = bundle_of(case, folder)
    return OnnxRuntimeCudaEngine(bundle) if device == "cuda" else OnnxRuntimeEngine(bundle)


class TorchEngine:
    """A network as a careful user runs it in PyTorch: FP16, channels last, page-locked buffers, one stream.

    `submit` computes before it returns, as a plain loop does. On the processor it computes in FP32, to
    rehearse the code. With `graph` the network is captured once and replayed.
    """

    capacity, batch = 1, 1

    backend = "pytorch"

    def __init__(self, case: Case, device: str, *, graph: bool) -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise BackendError("PyTorch sees no CUDA device; see nvidia-smi, and torch.version.cuda")
        if graph and device != "cuda":
            raise BackendError("a CUDA graph needs a card; take pytorch-eager")
        self._torch, self._on_card = torch, device == "cuda"
        torch.backends.cudnn.benchmark = True
        made = source_of(case)
        self.spec: EngineSpec = made.spec
        shape = (1, self.spec.height, self.spec.width, 3)
        self._pinned = torch.zeros(shape, dtype=torch.uint8, pin_memory=self._on_card)
        self._found = torch.zeros(shape[:3], dtype=torch.uint8, pin_memory=self._on_card)
        self._frames = self._pinned.to(device)
        network = made.network.to(device)
        if self._on_card:
            halve(network.network)
        with torch.inference_mode():
            self._run = self._captured(network) if graph else lambda: network(self._frames)
        kind = "one CUDA graph" if graph else "eager"
        self.precision = "fp16" if self._on_card else "fp32"
        self.description = f"pytorch {torch.__version__} {self.precision} {kind}"

    def submit(self, frames: np.ndarray) -> "Future[Prediction]":
        """Compute, and return what is done already."""
        self._pinned.numpy()[...] = frames
        with self._torch.inference_mode():
            marks = [self._mark()]
            self._frames.copy_(self._pinned, non_blocking=True)
            marks.append(self._mark())
            probability = self._run()
            marks.append(self._mark())
            self._found.copy_(probability, non_blocking=True)
            marks.append(self._mark())
        if self._on_card:
            marks[-1].synchronize()
        h2d, compute, d2h = (self._seconds(a, b) for a, b in itertools.pairwise(marks))
        future: Future[Prediction] = Future()
        future.set_result(Prediction(self._found.numpy().copy(), timing=Timing(compute, h2d, d2h)))
        return future

    def close(self) -> None:
        """Nothing to do: the process ends."""

    def __enter__(self) -> "TorchEngine":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _captured(self, network: Any) -> Callable[[], Any]:
        torch = self._torch
        side = torch.cuda.Stream()  # the first runs allocate and choose kernels, which cannot be captured
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                network(self._frames)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            probability = network(self._frames)

        def replay() -> Any:
            graph.replay()
            return probability

        return replay

    def _mark(self) -> Any:
        if not self._on_card:
            return time.perf_counter()
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _seconds(self, start: Any, end: Any) -> float:
        return start.elapsed_time(end) / 1000 if self._on_card else end - start


def halve(network: Any) -> None:
    """FP16 and channels last, between FP32 ends."""
    import torch

    network.to(dtype=torch.float16, memory_format=torch.channels_last)
    network.register_forward_pre_hook(lambda module, images: (images[0].half(),))
    network.register_forward_hook(lambda module, images, logits: logits.float())


if __name__ == "__main__":
    sys.exit(step_main(app))
