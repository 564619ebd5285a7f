"""Typed ONNX → TensorRT plan, by either flavour. TensorRT for RTX does it on a machine without any GPU."""

import hashlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference.atomic_file import write_whole
from rtpolyp.inference.local_engine import one_line
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt.flavour import RTX_CAPABILITIES, Flavour, Library
from rtpolyp.inference.tensorrt.plan import PlanPrecision, TensorSpec, plan_header

__all__ = [
    "BuildConfig",
    "Built",
    "Progress",
    "build_plan",
    "choose_flavour",
    "parse_batch",
    "targets_for",
    "timing_cache_of",
]

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]  # called with (phase, steps done, steps in all), on any thread

# What TensorRT for RTX compiles for unless told otherwise. Turing's plan, sm75, is eight times as large, so
# it has to be asked for.
DEFAULT_TARGETS = ("sm80", "sm86", "sm89", "sm120")
INT8_SINCE = (1, 7)  # TensorRT for RTX; 1.5 and 1.6 fail inside their compiler on a quantised convolution
WORDS = 400  # characters of the library's own words that an error quotes
PRECISIONS = {"HALF": "fp16", "FLOAT": "fp32", "BF16": "bf16", "INT8": "int8", "UINT8": "uint8"}


@dataclass(frozen=True)
class BuildConfig:
    """What a plan is built for."""

    precision: PlanPrecision = "fp16"
    batch: tuple[int, int, int] = (1, 1, 1)  # least, best and most frames of one run
    targets: tuple[str, ...] = DEFAULT_TARGETS  # compute capabilities, e.g. "sm86"

    def __post_init__(self) -> None:
        least, best, most = self.batch
        if not 1 <= least <= best <= most:
            raise InputError(f"batch {least}:{best}:{most}: give MIN ≤ OPT ≤ MAX, from 1 on")


@dataclass(frozen=True)
class Built:
    """A plan and what its builder knows of it."""

    content: bytes
    version: str  # of the library, from the plan's header
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operations: dict[str, dict[str, int]]  # precision → kind of layer → count, as the parser typed them
    flags: tuple[str, ...]


def parse_batch(text: str) -> tuple[int, int, int]:
    """ "4" or "1:4:8" → least, best and most frames of one run."""
    parts = text.split(":")
    if len(parts) not in (1, 3) or not all(part.isdecimal() for part in parts):
        raise InputError(f"batch {text!r}: give a number, or MIN:OPT:MAX such as 1:4:8")
    least, best, most = (int(part) for part in (parts * 3 if len(parts) == 1 else parts))
    return least, best, most


def choose_flavour(card: Card | None) -> Flavour:
    """The flavour for a card; without one, TensorRT for RTX, which needs none to build."""
    return "tensorrt-rtx" if card is None or card.capability in RTX_CAPABILITIES else "tensorrt"


def targets_for(flavour: Flavour, card: Card | None, asked: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The compute capabilities to build for: those asked for, else the flavour's own.

    Raises InputError for one that the flavour does not know, BackendError for TensorRT without a card.
    """
    if flavour == "tensorrt-rtx":
        if unknown := [target for target in asked if target not in RTX_CAPABILITIES]:
            raise InputError(
                f"target {unknown[0]}: TensorRT for RTX builds for {', '.join(RTX_CAPABILITIES)}; "
                "for other cards build on the card itself with flavour tensorrt"
            )
        if card is not None and not asked and card.capability not in DEFAULT_TARGETS:
            return (card.capability,)
        return tuple(dict.fromkeys(asked)) or DEFAULT_TARGETS
    if card is None:
        raise BackendError(
            "tensorrt builds only on the card that will run the plan, and no NVIDIA card is visible here; "
            "build there, or with flavour tensorrt-rtx here"
        )
    if other := [target for target in asked if target != card.capability]:
        raise InputError(
            f"target {other[0]}: tensorrt builds for the card that it runs on, {card}; build there"
        )
    return (card.capability,)


def build_plan(
    library: Library,
    graph: bytes,
    config: BuildConfig,
    *,
    timing_cache: Path | None = None,
    progress: Progress | None = None,
) -> Built:
    """Build a plan from a typed ONNX graph with one input, whose first axis alone may be symbolic.

    `timing_cache` is a file that the library reads and adds to, see timing_cache_of. Ctrl-C ends the build at
    its next step and raises KeyboardInterrupt.

    Raises BackendError where this library cannot build such a plan, EngineError, with the library's own
    words, where it refuses the graph.
    """
    _check_support(library, config)
    stop = threading.Event()
    # in a thread of its own: held in the library, the main thread would not hear Ctrl-C
    with ThreadPoolExecutor(1) as worker:
        future = worker.submit(_build, library, graph, config, timing_cache, progress, stop)
        try:
            return future.result()
        except KeyboardInterrupt:
            stop.set()
            raise


def timing_cache_of(folder: Path, library: Library, card: Card) -> Path:
    """The file in `folder` where TensorRT keeps how fast each kernel was, for this version, card and CUDA."""
    key = f"{library.name} {library.version} {card.name} {card.capability} {card.cuda}"
    return folder / f"timing-{hashlib.sha256(key.encode()).hexdigest()[:16]}.cache"


def _build(
    library: Library,
    graph: bytes,
    config: BuildConfig,
    timing_cache: Path | None,
    progress: Progress | None,
    stop: threading.Event,
) -> Built:
    trt = library.trt
    with library.complaints() as complaints:
        try:
            builder = trt.Builder(library.logger)
            network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
            parser = trt.OnnxParser(network, library.logger)
            if not parser.parse(graph) or (network.num_inputs, network.num_outputs) != (1, 1):
                raise _refusal(
                    library, "graph", [parser.get_error(i).desc() for i in range(parser.num_errors)]
                )
            options = builder.create_builder_config()
            options.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
            options.progress_monitor = _monitor(trt, progress, stop)
            frames, result = _set_batch(builder, network, options, config.batch)
            if library.name == "tensorrt-rtx":
                _set_targets(trt, options, config.targets)
            operations = _operations(trt, network)
            if timing_cache is not None:
                _load_timing_cache(options, timing_cache)
            plan = builder.build_serialized_network(network, options)
            if plan is None:
                raise _refusal(library, "network", complaints)
            if timing_cache is not None:
                _save_timing_cache(options, timing_cache)
            names = [name for name, flag in trt.BuilderFlag.__members__.items() if options.get_flag(flag)]
        except (
            RuntimeError,
            TypeError,
            ValueError,
        ) as exc:  # pybind11 raises TypeError where C++ gave nothing
            raise _refusal(library, "build", [*complaints, one_line(exc)]) from exc
    content = bytes(plan)
    header = plan_header(content)
    if header is None or header[0] != library.name:
        raise EngineError(
            f"{library.name} {library.version}: its plan begins with {content[:4]!r}; update rtpolyp"
        )
    return Built(content, header[1], (frames,), (result,), operations, ("STRONGLY_TYPED", *names))


def _check_support(library: Library, config: BuildConfig) -> None:
    if library.name != "tensorrt-rtx":
        return
    version = tuple(int(part) for part in library.version.split(".")[:2])
    if config.precision == "int8" and version < INT8_SINCE:
        raise BackendError(
            f"tensorrt-rtx {library.version} cannot compile INT8 convolutions; update it, or build fp16"
        )
    if config.precision == "bf16" and "sm75" in config.targets:
        raise BackendError("target sm75: Turing has no bfloat16; build fp16 for it")


def _set_batch(
    builder: Any, network: Any, options: Any, batch: tuple[int, int, int]
) -> tuple[TensorSpec, TensorSpec]:
    """Fix the batch, which lets kernels be chosen for it, or let it vary within a profile."""
    frames, result = network.get_input(0), network.get_output(0)
    least, _, most = batch
    frame = tuple(frames.shape)[1:]
    if min(frame, default=-1) < 1:
        raise EngineError(
            f"{frames.name}: shape {tuple(frames.shape)}, only N may vary; export the network again"
        )
    if least == most:
        frames.shape = (most, *frame)
    else:
        profile = builder.create_optimization_profile()
        profile.set_shape(frames.name, *((count, *frame) for count in batch))
        options.add_optimization_profile(profile)

    def describe(tensor: Any) -> TensorSpec:
        shape = tuple(tensor.shape)
        shapes = ((count, *shape[1:]) for count in batch)
        return TensorSpec(tensor.name, tensor.dtype.name.lower(), shape, *shapes)

    return describe(frames), describe(result)


def _set_targets(trt: Any, options: Any, targets: tuple[str, ...]) -> None:
    options.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        options.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), index)


def _operations(trt: Any, network: Any) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for layer in (network.get_layer(index) for index in range(network.num_layers)):
        if layer.type != trt.LayerType.CONSTANT:
            of_precision = counts.setdefault(PRECISIONS.get(layer.get_output(0).dtype.name, "other"), {})
            kind = layer.type.name.lower()
            of_precision[kind] = of_precision.get(kind, 0) + 1
    return counts


def _load_timing_cache(options: Any, path: Path) -> None:
    known = path.read_bytes() if path.is_file() else b""
    if not options.set_timing_cache(options.create_timing_cache(known), ignore_mismatch=False):
        log.info("%s: of another version or card; measuring all kernels anew", path)
        options.set_timing_cache(options.create_timing_cache(b""), ignore_mismatch=False)


def _save_timing_cache(options: Any, path: Path) -> None:
    try:
        write_whole(path, bytes(options.get_timing_cache().serialize()))
    except OSError as exc:
        log.info("%s: not written (%s); the next build measures again", path, exc)


def _monitor(trt: Any, progress: Progress | None, stop: threading.Event) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # its base is known when the module is
        """Passes steps on, and asks the builder to stop; phases nest."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)  # pybind11 wants it called by name
            self.steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self.steps[phase] = steps
            self._tell(phase, 0)

        def step_complete(self, phase: str, step: int) -> bool:
            self._tell(phase, step + 1)
            return not stop.is_set()

        def phase_finish(self, phase: str) -> None:
            self._tell(phase, self.steps[phase])

        def _tell(self, phase: str, done: int) -> None:
            if progress is not None:
                progress(phase, done, self.steps[phase])

    return Monitor()


def _refusal(library: Library, what: str, reasons: list[str]) -> EngineError:
    words = " ".join((reasons or ["it does not say why"])[0].split())
    quoted = words if len(words) <= WORDS else words[:WORDS] + "…"
    return EngineError(f"{library.name} {library.version} refuses the {what}: {quoted}")
