"""Real plans, built by TensorRT for RTX on a machine without a GPU, and each way in which a build fails."""

import dataclasses
import signal
import threading
import types
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt.build import (
    DEFAULT_TARGETS,
    BuildConfig,
    build_plan,
    choose_flavour,
    parse_batch,
    targets_for,
    timing_cache_of,
)
from rtpolyp.inference.tensorrt.flavour import RTX_CAPABILITIES, Library
from rtpolyp.inference.tensorrt.plan import PlanPrecision
from rtpolyp.inference.tensorrt.typed_onnx import typed_graph
from tests.runtime.tiny_bundle import tiny_model

SIZE = (96, 64)
FP16 = BuildConfig()
H100 = Card("NVIDIA H100 80GB HBM3", "sm90", "13.0", "580.65.06")
RTX_4090 = Card("NVIDIA GeForce RTX 4090", "sm89", "12.8", None)
RTX_2080 = Card("NVIDIA GeForce RTX 2080", "sm75", "12.8", None)


def typed(precision: PlanPrecision = "fp16") -> bytes:
    model = tiny_model(SIZE, quantised=precision == "int8")
    return typed_graph(model, precision).SerializeToString()


@pytest.mark.parametrize("precision", ["fp16", "fp32", "bf16", "int8"])
def test_each_precision_becomes_a_plan(tensorrt_rtx: Library, precision: PlanPrecision):
    built = build_plan(tensorrt_rtx, typed(precision), BuildConfig(precision))
    assert built.content[:4] == b"vtrt"
    assert built.version == tensorrt_rtx.version
    frames, probability = built.inputs[0], built.outputs[0]
    assert (frames.name, frames.dtype, frames.shape) == ("frames", "uint8", (1, 64, 96, 3))
    assert (probability.name, probability.dtype, probability.shape) == ("probability", "uint8", (1, 64, 96))
    assert frames.minimum == frames.optimum == frames.maximum == (1, 64, 96, 3)
    narrow = "fp16" if precision == "int8" else precision
    assert built.operations[narrow]["convolution"] == 2
    assert built.operations["uint8"] == {"cast": 1}
    assert ("quantize" in built.operations.get("int8", {})) == (precision == "int8")
    assert "STRONGLY_TYPED" in built.flags


def test_a_batch_may_vary_within_a_profile(tensorrt_rtx: Library):
    built = build_plan(tensorrt_rtx, typed(), BuildConfig(batch=(1, 4, 8)))
    for tensor, frame in ((built.inputs[0], (64, 96, 3)), (built.outputs[0], (64, 96))):
        assert tensor.shape == (-1, *frame)
        assert [tensor.minimum, tensor.optimum, tensor.maximum] == [(n, *frame) for n in (1, 4, 8)]


def test_targets_change_the_plan(tensorrt_rtx: Library):
    """Turing's kernels come ready-made, and its plan is larger."""
    sizes = [
        len(build_plan(tensorrt_rtx, typed(), BuildConfig(targets=t)).content) for t in (("sm75",), ("sm86",))
    ]
    assert sizes[0] > 1.1 * sizes[1]


def test_progress_is_told_to_the_end(tensorrt_rtx: Library):
    seen: dict[str, list[int]] = {}

    def progress(phase: str, done: int, steps: int) -> None:
        assert 0 <= done <= steps
        seen.setdefault(phase, []).append(done)

    build_plan(tensorrt_rtx, typed(), FP16, progress=progress)
    whole = seen["Building engine"]
    assert whole == sorted(whole)
    assert len(whole) > 3


def test_ctrl_c_ends_a_build(tensorrt_rtx: Library):
    """The builder asks after each step; without an answer to Ctrl-C it would go on to the end."""
    main = threading.main_thread().ident
    phases: list[str] = []
    interrupted = threading.Event()

    def progress(phase: str, done: int, steps: int) -> None:
        phases.append(phase)
        if not interrupted.is_set():
            interrupted.set()
            signal.pthread_kill(main, signal.SIGINT)
        threading.Event().wait(0.02)  # the main thread gets to hear it

    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            build_plan(tensorrt_rtx, typed(), FP16, progress=progress)
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert "Building engine" in phases
    assert "Timing tactics" not in phases
    assert build_plan(tensorrt_rtx, typed(), FP16).content[:4] == b"vtrt"  # nothing is left behind


@pytest.mark.filterwarnings("ignore:Use Deprecated:DeprecationWarning")  # no-ops in TensorRT for RTX
def test_a_timing_cache_is_read_and_written(tensorrt_rtx: Library, tmp_path: Path, caplog):
    cache = timing_cache_of(tmp_path / "cache", tensorrt_rtx, H100)
    build_plan(tensorrt_rtx, typed(), FP16, timing_cache=cache)
    assert cache.is_file()
    build_plan(tensorrt_rtx, typed(), FP16, timing_cache=cache)
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


@pytest.mark.filterwarnings("ignore:Use Deprecated:DeprecationWarning")
def test_a_timing_cache_that_cannot_be_written_costs_nothing_else(
    tensorrt_rtx: Library, tmp_path: Path, caplog
):
    (tmp_path / "file").write_bytes(b"")
    caplog.set_level("INFO")
    built = build_plan(tensorrt_rtx, typed(), FP16, timing_cache=tmp_path / "file" / "timing.cache")
    assert built.content[:4] == b"vtrt"
    assert "the next build measures again" in caplog.text


def test_a_timing_cache_belongs_to_one_version_and_card(tensorrt_rtx: Library, tmp_path: Path):
    newer = dataclasses.replace(tensorrt_rtx, trt=types.SimpleNamespace(__version__="2.0"))
    other_cuda = dataclasses.replace(H100, cuda="13.1")
    pairs = [(tensorrt_rtx, H100), (newer, H100), (tensorrt_rtx, RTX_4090), (tensorrt_rtx, other_cuda)]
    assert len({timing_cache_of(tmp_path, library, card) for library, card in pairs}) == 4


def test_bytes_before_a_cast_fail_in_the_librarys_words(tensorrt_rtx: Library):
    model = tiny_model(SIZE)
    model.graph.node[0].CopyFrom(helper.make_node("Transpose", ["frames"], ["turned"], perm=[0, 3, 1, 2]))
    model.graph.node[1].CopyFrom(helper.make_node("Cast", ["turned"], ["planes"], to=TensorProto.FLOAT))
    with pytest.raises(
        EngineError, match=r"^tensorrt-rtx [\d.]+ refuses the graph: .*type UInt8 but must"
    ) as info:
        build_plan(tensorrt_rtx, model.SerializeToString(), FP16)
    assert "\n" not in str(info.value)


def test_a_size_without_a_profile_fails(tensorrt_rtx: Library):
    model = tiny_model(SIZE)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "H"
    for batch in ((1, 1, 1), (1, 2, 4)):
        with pytest.raises(EngineError, match=r"^frames: shape \(-1, -1, 96, 3\), only N may vary; export"):
            build_plan(tensorrt_rtx, model.SerializeToString(), BuildConfig(batch=batch))


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_corrupt_graph_fails(tensorrt_rtx: Library, cut: int):
    with pytest.raises(EngineError, match="refuses the graph: "):
        build_plan(tensorrt_rtx, typed()[:cut] if cut >= 0 else b"not ONNX", FP16)


def test_types_that_do_not_meet_fail(tensorrt_rtx: Library):
    """Strongly typed: an FP16 weight on an FP32 tensor is an error, and no silent cast."""
    model = typed_graph(tiny_model(SIZE), "fp16")
    cast = next(
        node for node in model.graph.node if node.op_type == "Cast" and node.output[0] == "pixels.fp16"
    )
    cast.attribute[0].i = TensorProto.FLOAT
    with pytest.raises(EngineError, match="refuses the"):
        build_plan(tensorrt_rtx, model.SerializeToString(), FP16)


def test_a_builder_that_finds_no_gpu_fails_in_its_own_words(tensorrt_rtx: Library):
    """TensorRT logs why, and its binding raises a TypeError that does not."""
    severity = tensorrt_rtx.trt.ILogger.Severity

    def no_gpu(logger) -> None:
        logger.log(severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    trt = types.SimpleNamespace(__version__="10.6.0", Builder=no_gpu)
    full = dataclasses.replace(tensorrt_rtx, name="tensorrt", trt=trt)
    with pytest.raises(EngineError, match=r"^tensorrt 10\.6\.0 refuses the build: CUDA .* error: 35$"):
        build_plan(full, typed(), FP16)


def test_int8_on_an_early_rtx_fails_before_its_compiler_does(tensorrt_rtx: Library):
    """1.5 and 1.6 say CHECK(dtype == myelinTypeFloat || …); 1.7 builds it."""
    early = dataclasses.replace(tensorrt_rtx, trt=types.SimpleNamespace(__version__="1.6.1.120"))
    with pytest.raises(
        BackendError, match=r"tensorrt-rtx 1\.6\.1\.120 cannot compile INT8 convolutions; update"
    ):
        build_plan(early, typed("int8"), BuildConfig("int8"))


def test_bfloat16_on_turing_fails(tensorrt_rtx: Library):
    with pytest.raises(BackendError, match="sm75: Turing has no bfloat16; build fp16 for it"):
        build_plan(tensorrt_rtx, typed("bf16"), BuildConfig("bf16", targets=("sm75", "sm86")))


@pytest.mark.parametrize(
    ("card", "flavour", "targets"),
    [
        (None, "tensorrt-rtx", DEFAULT_TARGETS),
        (RTX_4090, "tensorrt-rtx", DEFAULT_TARGETS),
        (RTX_2080, "tensorrt-rtx", ("sm75",)),
        (H100, "tensorrt", ("sm90",)),
        (Card("NVIDIA B200", "sm100", "13.0", None), "tensorrt", ("sm100",)),
    ],
)
def test_the_flavour_and_the_targets_fit_the_card(card: Card | None, flavour: str, targets: tuple[str, ...]):
    assert choose_flavour(card) == flavour
    assert targets_for(flavour, card) == targets


def test_targets_that_are_asked_for_are_taken_once_each():
    assert targets_for("tensorrt-rtx", H100, ("sm120", "sm86", "sm120")) == ("sm120", "sm86")
    assert targets_for("tensorrt", H100, ("sm90",)) == ("sm90",)


@pytest.mark.parametrize("target", ["sm90", "sm61", "blackwell"])
def test_an_unknown_target_fails_listing_those_there_are(target: str):
    expected = rf"target {target}: TensorRT for RTX builds for {', '.join(RTX_CAPABILITIES)}; for other cards"
    with pytest.raises(InputError, match=expected):
        targets_for("tensorrt-rtx", None, ("sm86", target))


def test_tensorrt_without_a_card_fails():
    with pytest.raises(BackendError, match="tensorrt builds only on the card that will run the plan, and no"):
        targets_for("tensorrt", None)


def test_tensorrt_for_another_card_fails():
    with pytest.raises(
        InputError, match=r"target sm86: tensorrt builds for the card .*H100 80GB HBM3 \(sm90\)"
    ):
        targets_for("tensorrt", H100, ("sm86",))


@pytest.mark.parametrize(("text", "batch"), [("1", (1, 1, 1)), ("8", (8, 8, 8)), ("1:4:8", (1, 4, 8))])
def test_a_batch_is_read(text: str, batch: tuple[int, int, int]):
    assert parse_batch(text) == batch


@pytest.mark.parametrize("text", ["", "1:4", "a", "1:b:3", "-1", "1:2:3:4", "1.5"])
def test_what_is_no_batch_fails(text: str):
    with pytest.raises(InputError, match=f"batch '{text}': give a number, or MIN:OPT:MAX such as 1:4:8"):
        parse_batch(text)


@pytest.mark.parametrize("batch", [(0, 1, 1), (2, 1, 4), (1, 5, 4)])
def test_a_batch_out_of_order_fails(batch: tuple[int, int, int]):
    with pytest.raises(InputError, match="give MIN ≤ OPT ≤ MAX, from 1 on"):
        BuildConfig(batch=batch)
