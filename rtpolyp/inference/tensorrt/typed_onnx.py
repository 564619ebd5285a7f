"""The bundle's graph as TensorRT wants it: every tensor of the precision in which it shall be computed.

Networks are strongly typed in TensorRT for RTX and from TensorRT 11 on, so precision stands in the ONNX and
nowhere else. Between its first and last convolutions a network is computed in FP16 (or bfloat16). What is
before, the normalisation, and what is after, the sum of the heads' maps, the last resize and the sigmoid,
stays FP32: it is one channel wide and costs nothing. So do means over a whole map, whose sums FP16 rounds.

onnxruntime.transformers.float16 converts such a graph too: as exact on the first shipped network, with 22
casts in place of 12. But it clips weights out of range silently, has no bfloat16, and takes all resizes to
FP32 or none.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # it ships no types
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference

from rtpolyp.errors import EngineError
from rtpolyp.inference.local_engine import one_line
from rtpolyp.inference.tensorrt.plan import PlanPrecision

__all__ = ["Graph", "check_typed", "emulation_of", "load_graph", "typed_graph", "weights_by_precision"]

Graph = onnx.ModelProto

CONVOLUTIONS = ("Conv", "ConvTranspose")
QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
KEPT = ("Cast", "GlobalAveragePool", "ReduceMean")  # FP32 wherever they stand

FLOAT, UINT8 = int(TensorProto.FLOAT), int(TensorProto.UINT8)
NARROW: dict[PlanPrecision, int] = {
    "fp16": TensorProto.FLOAT16,
    "bf16": TensorProto.BFLOAT16,
    "int8": TensorProto.FLOAT16,  # of what is not quantised
}
NARROW_TYPES = frozenset(NARROW.values())
OPSET: dict[PlanPrecision, int] = {"bf16": 22, "int8": 19}  # the first whose operators take these types
NAMES: dict[int, str] = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "bf16",
    TensorProto.INT8: "int8",
}


def load_graph(path: Path) -> Graph:
    """Read an ONNX file. Raises EngineError for one that is missing or broken."""
    try:
        graph = onnx.load(path)
        onnx.checker.check_model(graph)
    except (OSError, DecodeError, onnx.checker.ValidationError) as exc:
        raise EngineError(f"{path}: not readable as ONNX ({one_line(exc)}); export it again") from exc
    return graph


def typed_graph(model: Graph, precision: PlanPrecision) -> Graph:
    """The same network with `precision` written into its tensors; bytes at both ends, N symbolic.

    `model` is a bundle's "fp32" graph, or its "int8" graph for "int8". Raises EngineError for a weight that
    FP16 cannot hold.
    """
    typed = Graph()
    typed.CopyFrom(model)
    _fold_casts(typed.graph)
    if precision in OPSET:
        typed.opset_import[0].version = max(typed.opset_import[0].version, OPSET[precision])
    if precision == "int8":
        _centre_zero_points(typed.graph)
    if precision in NARROW:
        _narrow(typed, NARROW[precision])
    onnx.checker.check_model(_without_weights(typed), full_check=True)
    return typed


def emulation_of(typed: Graph) -> Graph:
    """What a GPU computes, as an FP32 graph that rounds: each narrow result goes to its type and back.

    ONNX Runtime has few FP16 kernels for processors and computes an FP16 graph in FP32, almost from end to
    end: where FP16 overflows it does not. Its processor kernels refuse bfloat16.
    """
    types = _types(typed)
    emulation = Graph()
    emulation.CopyFrom(typed)
    graph = emulation.graph
    for tensor in graph.initializer:
        if tensor.data_type in NARROW_TYPES:
            tensor.CopyFrom(numpy_helper.from_array(_values(tensor), tensor.name))
    nodes = []
    for node in graph.node:
        nodes.append(node)
        name = node.output[0]
        if types[name] not in NARROW_TYPES:
            continue
        if node.op_type == "Cast":
            node.attribute[0].i = FLOAT
        wide, rounded = f"{name}.wide", f"{name}.rounded"
        node.output[0] = wide
        nodes.append(helper.make_node("Cast", [wide], [rounded], to=types[name]))
        nodes.append(helper.make_node("Cast", [rounded], [name], to=FLOAT))
    _rewrite(graph, nodes)
    return emulation


def check_typed(typed: Graph, precision: PlanPrecision) -> None:
    """Refuse a graph that TensorRT would refuse, or would compute in another precision than asked for.

    Raises EngineError with what was found: bytes that meet anything but a Cast, a GatherND (what is left of
    an adaptive pooling, and slow), FP32 convolutions in a graph that is not FP32.
    """
    graph = typed.graph
    source, result = graph.input[0].name, graph.output[0].name
    for end, nodes in (
        (f"input {source}", [node for node in graph.node if source in node.input]),
        (f"output {result}", [node for node in graph.node if result in node.output]),
    ):
        if others := [node.op_type for node in nodes if node.op_type != "Cast"]:
            raise EngineError(
                f"{end}: bytes meet {others[0]}, TensorRT wants a Cast; export the network again"
            )
    for value in (graph.input[0], graph.output[0]):
        if (found := value.type.tensor_type.elem_type) != UINT8:
            kind = TensorProto.DataType.Name(found)
            raise EngineError(f"{value.name}: {kind}, not UINT8; export the network again")
    if gathers := sum(node.op_type == "GatherND" for node in graph.node):
        raise EngineError(f"{gathers} GatherND in the graph; write the network's pooling without, and export")
    types = _types(typed)
    convolutions = [node for node in graph.node if node.op_type in CONVOLUTIONS]
    wide = [node for node in convolutions if types[node.output[0]] == FLOAT]
    if wide and precision != "fp32":
        raise EngineError(
            f"{len(wide)} of {len(convolutions)} convolutions are FP32, the first makes {wide[0].output[0]}; "
            f"{precision} was asked for"
        )


def weights_by_precision(typed: Graph) -> dict[str, int]:
    """How many numbers the graph holds in each type, e.g. {"fp16": 3508112, "fp32": 5}."""
    counts = dict.fromkeys(NAMES.values(), 0)
    for tensor in typed.graph.initializer:
        if tensor.data_type in NAMES:
            counts[NAMES[tensor.data_type]] += int(np.prod(tensor.dims, dtype=np.int64))
    return {name: count for name, count in counts.items() if count}


def _fold_casts(graph: onnx.GraphProto) -> None:
    """Give weights that are stored as FP16 and cast back the type in which they are used."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in stored:
            graph.initializer.append(numpy_helper.from_array(_values(stored[node.input[0]]), node.output[0]))
        else:
            nodes.append(node)
    _rewrite(graph, nodes)


def _centre_zero_points(graph: onnx.GraphProto) -> None:
    """Quantise symmetrically and signed, as TensorRT has it: zero is 0, and the range the larger half's.

    A bundle's INT8 is made for processors, whose zero points and UINT8 after a ReLU use the range better.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for scale, zero in {(n.input[1], n.input[2]) for n in graph.node if n.op_type in QUANTISERS}:
        point, step = numpy_helper.to_array(tensors[zero]), numpy_helper.to_array(tensors[scale])
        if point.dtype == np.int8 and not point.any():
            continue
        levels = np.iinfo(point.dtype)
        below, above = point.astype(np.float32) - levels.min, levels.max - point.astype(np.float32)
        step = step * np.maximum(below / 128, above / 127)
        tensors[scale].CopyFrom(numpy_helper.from_array(step.astype(np.float32), scale))
        tensors[zero].CopyFrom(numpy_helper.from_array(np.zeros_like(point, np.int8), zero))


def _narrow(model: Graph, narrow: int) -> None:
    """Compute the body in `narrow`: its weights take that type, and casts stand where it begins and ends."""
    graph = model.graph
    body, types = _body(graph.node), _types(model)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    made: dict[tuple[str, int], str] = {}
    nodes: list[NodeProto] = []
    for node in graph.node:
        wanted = narrow if node.output[0] in body else FLOAT
        for index in _computed(node, types):
            name = node.input[index]
            if types[name] == wanted:
                continue
            if (name, wanted) not in made:
                made[name, wanted] = f"{name}.{NAMES[wanted]}"
                if name in weights:
                    graph.initializer.append(_narrowed(weights[name], made[name, wanted], wanted))
                else:
                    nodes.append(helper.make_node("Cast", [name], [made[name, wanted]], to=wanted))
            node.input[index] = made[name, wanted]
        nodes.append(node)
        if types[node.output[0]] == FLOAT:
            types[node.output[0]] = wanted
    _rewrite(graph, nodes)


def _body(nodes: Sequence[NodeProto]) -> set[str]:
    """What is computed in the narrow type: outputs of the convolutions, and of what stands between them."""
    after: set[str] = set()
    for node in nodes:
        if node.op_type in CONVOLUTIONS or after & set(node.input):
            after |= set(node.output)
    body: set[str] = set()
    before: set[str] = set()
    for node in reversed(nodes):
        convolution, leads_to_one = node.op_type in CONVOLUTIONS, bool(before & set(node.output))
        if convolution or leads_to_one:
            before |= set(node.input)
        # quantised weights, and a first input, come after none, but in the type of their convolution
        between = leads_to_one and (node.output[0] in after or node.op_type == "DequantizeLinear")
        if convolution or (between and node.op_type not in KEPT):
            body |= set(node.output)
    return body


def _computed(node: NodeProto, types: dict[str, int]) -> Iterator[int]:
    """Indices of the inputs that have the type in which the node computes."""
    for index, name in enumerate(node.input):
        sizes = node.op_type == "Resize" and index > 0  # FP32 whatever is resized
        if types.get(name) in (FLOAT, *NARROW_TYPES) and node.op_type != "Cast" and not sizes:
            yield index


def _types(model: Graph) -> dict[str, int]:
    graph = shape_inference.infer_shapes(_without_weights(model)).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _without_weights(model: Graph) -> Graph:
    """The same graph with weights as inputs: what types follow from, without FCN's half gigabyte."""
    bare = Graph(ir_version=model.ir_version, opset_import=model.opset_import)
    graph, weights = bare.graph, model.graph.initializer
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.input.extend(helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in weights)
    graph.output.extend(model.graph.output)
    return bare


def _narrowed(tensor: TensorProto, name: str, narrow: int) -> TensorProto:
    values = numpy_helper.to_array(tensor)
    if narrow == TensorProto.FLOAT16:
        if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            raise EngineError(
                f"{tensor.name}: a weight of {np.abs(values).max():g} is beyond FP16's 65504; "
                "build bf16 or fp32"
            )
        return numpy_helper.from_array(values.astype(np.float16), name)
    bits = np.ascontiguousarray(values).view(np.uint32)
    bits = bits + 0x7FFF + (bits >> 16 & 1)  # to the nearest, ties to even
    raw = (bits >> 16).astype("<u2").tobytes()
    return TensorProto(name=name, data_type=narrow, dims=tensor.dims, raw_data=raw)


def _values(tensor: TensorProto) -> NDArray[np.float32]:
    """The values of a float tensor of any width."""
    if tensor.data_type == TensorProto.BFLOAT16:
        bits = np.frombuffer(tensor.raw_data, "<u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(tensor.dims)
    return numpy_helper.to_array(tensor).astype(np.float32)


def _rewrite(graph: onnx.GraphProto, nodes: Sequence[NodeProto]) -> None:
    """Put `nodes` in place of the graph's own, and drop what none of them reads."""
    nodes = list(nodes)
    read = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
