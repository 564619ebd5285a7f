"""INT8 by post-training quantisation (NNCF) whose accuracy is checked on validation frames.

The result is an ONNX graph with Q/DQ pairs rather than OpenVINO's own format: OpenVINO ran it at least as
fast (30.5 against 33.7 ms, one run in turns, AMD EPYC with VNNI, both cores busy), its weights are stored as
INT8 in both, and ONNX Runtime runs it too.
"""

import logging
import math
import warnings
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
import onnx

from rtpolyp.inference.openvino import without_telemetry
from train.checkpoint import SECOND_LOOK
from train.export.graph import INPUT, shapes_of

__all__ = ["MAX_DROP", "quantise"]

MAX_DROP = 0.002  # mean Dice that INT8 may cost on the validation frames
RANKING_FRAMES = 60  # on which layers are ranked, should the first attempt cost more than that
MOST_REVERTED = 12  # layers given back to floating point at most; each costs a pass over all frames
FLOAT_SHARE = 0.05  # of the multiplications: what the layers nearest the image may take in floating point

Shapes: TypeAlias = dict[str, list[int]]  # as `shapes_of` gives them
Scorer = Callable[[onnx.ModelProto, np.ndarray], np.ndarray]  # (model, frame indices) → Dice of each


def quantise(
    model: onnx.ModelProto, calibration: np.ndarray, scored: np.ndarray, dice_of: Scorer
) -> onnx.ModelProto:
    """Quantise to 8 bits, giving layers back to floating point until mean Dice drops by at most MAX_DROP.

    `calibration: (C, H, W, 3) uint8 BGR` sets the ranges; `dice_of` scores a candidate on indices, `scored`
    being all that it can.

    Weights use 7 of their 8 bits everywhere (`OverflowFix.ENABLE`): without VNNI, AVX2 adds two products of
    8-bit numbers in 16 bits and saturates, silently. On 100 Kvasir frames and an AMD EPYC, once with VNNI and
    once held to AVX2 (ONEDNN_MAX_CPU_ISA), 7 bits gave the same bytes; 8 bits flipped 1.3 % of all pixels and
    fell from Dice 0.8485 to 0.8445. One file has to be right on all processors. AMX rounds otherwise: Dice of
    the shipped network on those frames was 0.8771 there and 0.8774 held to AVX2 (an Intel Xeon).
    """

    def validate(candidate: onnx.ModelProto, indices: Iterable[int]) -> tuple[float, list[float]]:
        dice = dice_of(candidate, np.fromiter(indices, int))
        return float(dice.mean()), dice.tolist()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies' deprecations
        with without_telemetry():
            import nncf
            from nncf.quantization.advanced_parameters import (
                AdvancedAccuracyRestorerParameters,
                AdvancedQuantizationParameters,
                OverflowFix,
            )

        logging.getLogger("nncf").setLevel(logging.ERROR)  # nncf.set_log_level mutes handlers of others, too
        return nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(list(calibration), lambda frame: {INPUT: frame[np.newaxis]}),
            nncf.Dataset(scored.tolist()),
            validate,
            max_drop=MAX_DROP,
            # asymmetric activations: what follows ReLU6 has no negative half to waste a bit on
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(calibration),
            ignored_scope=nncf.IgnoredScope(names=_left_in_float(model)),
            advanced_quantization_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
            advanced_accuracy_restorer_parameters=AdvancedAccuracyRestorerParameters(
                max_num_iterations=MOST_REVERTED,
                ranking_subset_size=min(RANKING_FRAMES, len(scored)),
                num_ranking_workers=1,
            ),
        )


def _left_in_float(model: onnx.ModelProto) -> list[str]:
    """The nodes that are not worth quantising.

    With them in float, `pranet-if`'s masks agree with FP32's at Dice 0.989 in place of 0.982 on validation
    frames, at 0.97 of the frames per second that it had before its decoder was folded.
    """
    shapes = shapes_of(model)
    return sorted(
        {
            *_after_the_logits(model, shapes),
            *_first(model, shapes),
            *_readers_of_products(model),
            *_of_second_look(model),
        }
    )


def _after_the_logits(model: onnx.ModelProto, shapes: Shapes) -> list[str]:
    """The nodes that compute maps of one channel, convolutions aside.

    Left alone, NNCF also quantises the summed logit map and the sigmoid: nothing gained in time, and an
    outline that moves with the step of the quantiser.
    """
    return [
        node.name
        for node in model.graph.node
        if node.op_type != "Conv" and (len(shape := shapes.get(node.output[0], [])) == 3 or shape[1:2] == [1])
    ]


def _first(model: onnx.ModelProto, shapes: Shapes) -> list[str]:
    """The convolutions nearest the image that take FLOAT_SHARE of all: what follows inherits their error."""
    weights = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    depth = {INPUT: 0}  # nodes from the image to what they write; an ensemble has several paths
    convolutions = []
    for node in model.graph.node:
        above = max((depth.get(name, 0) for name in node.input), default=0) + 1
        depth.update(dict.fromkeys(node.output, above))
        if node.op_type == "Conv":
            macs = weights[node.input[1]] * math.prod(shapes[node.output[0]][2:])
            convolutions.append((above, node.name, macs))
    convolutions.sort(key=lambda one: one[0])
    spent = np.cumsum([macs for *_, macs in convolutions])
    first = np.searchsorted(spent, FLOAT_SHARE * spent[-1], side="right")
    return [name for _, name, _ in convolutions[:first]]


def _of_second_look(model: onnx.ModelProto) -> list[str]:
    """The second look's convolutions and all that follows from them: one in 170 multiplications,
    and what decides over whole outlines."""
    names, reached = [], {weight.name for weight in model.graph.initializer if SECOND_LOOK in weight.name}
    for node in model.graph.node:  # in the order of their computation
        if reached.intersection(node.input):
            names.append(node.name)
            reached.update(node.output)
    return names


def _readers_of_products(model: onnx.ModelProto) -> list[str]:
    """The convolutions that read a product of features, alone or beside others.

    It has a long tail, as in the partial decoder, where three factors meet, and 256 even steps are too few
    for it. A factor between 0 and 1, as attention has, makes none.
    """
    writers = {name: node for node in model.graph.node for name in node.output}

    def is_product(name: str) -> bool:
        node = writers.get(name)
        if node is None or node.op_type not in ("Mul", "Concat"):
            return False
        if node.op_type == "Concat":
            return any(is_product(part) for part in node.input)
        return all(factor in writers and not is_gate(factor) for factor in node.input)

    def is_gate(name: str) -> bool:
        node = writers[name]
        if node.op_type == "Sub":  # reverse attention: 1 − σ
            return any(part in writers and is_gate(part) for part in node.input)
        return node.op_type == "Sigmoid"

    return [node.name for node in model.graph.node if node.op_type == "Conv" and is_product(node.input[0])]
