"""PyTorch → plan by torch-tensorrt, without an ONNX between: a second opinion on what the parser makes.

torch-tensorrt imports on a machine with an NVIDIA driver only. This way has not been run on a card yet.
"""

import copy
from typing import Any

import torch
from torch import nn

from rtpolyp.errors import BackendError, EngineError
from rtpolyp.inference.local_engine import one_line
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt.build import BuildConfig, Built
from rtpolyp.inference.tensorrt.flavour import Library
from rtpolyp.inference.tensorrt.plan import TensorSpec, plan_header
from train.export.graph import INPUT, ByteNetwork

__all__ = ["build_plan_from_torch"]

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class _Narrow(nn.Module):
    """A network in another type between FP32 ends: torch-tensorrt takes types as the modules have them."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network.to(dtype), dtype

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images.to(self.dtype)).float()


def build_plan_from_torch(
    library: Library, network: ByteNetwork, size: tuple[int, int], config: BuildConfig, card: Card | None
) -> Built:
    """Build a plan for frames of `size` = (width, height) on the card at hand.

    Raises BackendError where torch-tensorrt, its TensorRT or a card is missing, or the precision is "int8".
    """
    if card is None:
        raise BackendError("torch-tensorrt needs an NVIDIA card, and none is visible here; leave --via out")
    if library.name != "tensorrt" or config.precision not in TYPES:
        raise BackendError(
            f"torch-tensorrt builds fp32, fp16 and bf16 with tensorrt, not {config.precision} with "
            f"{library.name}; leave --via out"
        )
    torch_tensorrt = _import()
    typed = copy.deepcopy(network)
    typed.network = _Narrow(typed.network, TYPES[config.precision])
    width, height = size
    shapes = [(count, height, width, 3) for count in config.batch]
    least, _, most = config.batch
    dynamic = None if least == most else {INPUT: {0: torch.export.Dim("N", min=least, max=most)}}
    with library.complaints() as complaints:
        try:
            example = torch.zeros(shapes[2], dtype=torch.uint8, device="cuda")
            program = torch.export.export(typed.eval().cuda(), (example,), dynamic_shapes=dynamic)
            frames = torch_tensorrt.Input(
                min_shape=shapes[0], opt_shape=shapes[1], max_shape=shapes[2], dtype=torch.uint8, name=INPUT
            )
            content = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine(
                program, arg_inputs=[frames], require_full_compilation=True
            )
            inputs, outputs = _ends(library, content, config.batch)
        except Exception as exc:  # torch-tensorrt raises of every kind
            raise EngineError(f"torch-tensorrt: {one_line(exc)}; {'; '.join(complaints)}") from exc
    header = plan_header(content)
    if header is None:
        raise EngineError(f"torch-tensorrt: its plan begins with {content[:4]!r}; leave --via out")
    return Built(content, header[1], inputs, outputs, operations={}, flags=("STRONGLY_TYPED",))


def _ends(
    library: Library, content: bytes, batch: tuple[int, int, int]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs as the plan has them: torch-tensorrt chooses names itself."""
    trt = library.trt
    runtime = trt.Runtime(library.logger)
    engine = runtime.deserialize_cuda_engine(content)
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    for name in (engine.get_tensor_name(index) for index in range(engine.num_io_tensors)):
        shape = tuple(engine.get_tensor_shape(name))
        shapes = ((count, *shape[1:]) for count in batch)
        tensor = TensorSpec(name, engine.get_tensor_dtype(name).name.lower(), shape, *shapes)
        (inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else outputs).append(tensor)
    return tuple(inputs), tuple(outputs)


def _import() -> Any:
    try:
        import torch_tensorrt
    except Exception as exc:  # a plain Exception where the driver or its TensorRT is missing
        raise BackendError(
            f'torch-tensorrt is not usable ({one_line(exc)}); pip install "rtpolyp[torch-tensorrt]", '
            "or leave --via out"
        ) from exc
    return torch_tensorrt
