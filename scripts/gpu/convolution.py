"""Build one convolution with one flavour, run it, and compare with ONNX Runtime: does this flavour work here?

python -m scripts.gpu.convolution --flavour tensorrt
"""

import sys
import tempfile
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rtpolyp.errors import EngineError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.nvidia_card import find_card
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine
from rtpolyp.inference.tensorrt.build import BuildConfig, Built, build_plan
from rtpolyp.inference.tensorrt.engine import TensorRtEngine
from rtpolyp.inference.tensorrt.flavour import Flavour, Library, load_flavour
from rtpolyp.inference.tensorrt.plan import Plan, PlanSpec, this_platform
from rtpolyp.inference.tensorrt.typed_onnx import typed_graph
from rtpolyp.measure.parity import Parity, compare_masks
from rtpolyp.spec import EngineSpec
from scripts.gpu.step import step_app, step_main

SIDE = 64
SPEC = EngineSpec("convolution", "none", "none", SIDE, SIDE, 0.5, 0.0, 0.0, files={"fp32": "model.onnx"})
LEVELS = 2  # of 255: what FP16 may round


app = step_app(__doc__)


@app.default
def main(*, flavour: Flavour) -> dict[str, Any]:
    """Build, run, compare."""
    library, card = load_flavour(flavour), find_card()
    if card is None:
        raise EngineError(f"{library.name} {library.version} is installed, but no NVIDIA card is visible")
    graph = one_convolution()
    typed = typed_graph(graph, "fp16").SerializeToString()
    built = build_plan(library, typed, BuildConfig(targets=(card.capability,)))
    frames = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_of(built, typed, library, card.capability, Path(folder))
        with TensorRtEngine(plan, cache=Path(folder)) as engine:
            found = engine.submit(frames).result().probability
            description = engine.description
        onnx.save(graph, Path(folder, "model.onnx"))
        with OnnxRuntimeEngine(Bundle(Path(folder), SPEC)) as reference:
            parity = compare_masks(reference.submit(frames).result().probability, found)
    check(library, parity)
    return {"engine": description, "version": built.version, **asdict(parity)}


def check(library: Library, parity: Parity) -> None:
    """Refuse a wrong result."""
    if parity.levels > LEVELS:
        raise EngineError(
            f"{library.name} {library.version}: a convolution is off by {parity.levels}/255, at most {LEVELS}"
        )


def one_convolution() -> onnx.ModelProto:
    """Two 3×3 convolutions, the least with something narrow between FP32 ends, as an FP32 graph."""
    generator = np.random.default_rng(0)
    constants = {
        "mean": np.full((1, 3, 1, 1), 127.5, np.float32),
        "first": generator.normal(0, 0.02, (16, 3, 3, 3)).astype(np.float32),
        "second": generator.normal(0, 0.1, (1, 16, 3, 3)).astype(np.float32),
        "channel": np.array([1], np.int64),
        "levels": np.float32(255),
        "half": np.float32(0.5),
        "zero": np.float32(0),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["frames"], ["float"], to=TensorProto.FLOAT),
        node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        node("Sub", ["planes", "mean"], ["pixels"]),
        node("Conv", ["pixels", "first"], ["features"], pads=[1, 1, 1, 1]),
        node("Relu", ["features"], ["rectified"]),
        node("Conv", ["rectified", "second"], ["logits"], pads=[1, 1, 1, 1]),
        node("Sigmoid", ["logits"], ["sigmoid"]),
        node("Mul", ["sigmoid", "levels"], ["scaled"]),
        node("Add", ["scaled", "half"], ["rounded"]),
        node("Clip", ["rounded", "zero", "levels"], ["clipped"]),
        node("Squeeze", ["clipped", "channel"], ["map"]),
        node("Cast", ["map"], ["probability"], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("probability", TensorProto.UINT8, ["N", SIDE, SIDE])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def plan_of(built: Built, typed: bytes, library: Library, capability: str, folder: Path) -> Plan:
    """The plan in memory, with as much of a sidecar as running it takes."""
    spec = PlanSpec(
        flavour=library.name,
        tensorrt_version=built.version,
        plan_sha256=sha256(built.content).hexdigest(),
        onnx_sha256=sha256(typed).hexdigest(),
        source_sha256=sha256(typed).hexdigest(),
        bundle_digest="",
        precision="fp16",
        capabilities=(capability,),
        gpu=None,
        driver=None,
        cuda=None,
        platform=this_platform(),
        flags=built.flags,
        inputs=built.inputs,
        outputs=built.outputs,
        preprocessing="none",
        operations=built.operations,
        weights={},
        build_seconds=0.0,
        parity={},
        trained=False,
        rebuild="python -m scripts.gpu.convolution",
        engine=SPEC,
    )
    return Plan(folder / spec.file_name, spec, built.content)


if __name__ == "__main__":
    sys.exit(step_main(app))
