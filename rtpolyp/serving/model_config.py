"""Triton's `config.pbtxt` of a network, written by Triton's own protobuf schema from the spec alone."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from rtpolyp.errors import BackendError
from rtpolyp.inference.remote.connection import SPEC_PARAMETER
from rtpolyp.spec import EngineSpec

__all__ = ["NOT_SERVED", "ModelOptions", "Platform", "model_config"]

MAX_BATCH = 8  # frames that the server may put into one run
MAX_WAITING = 64  # requests; more come from rooms that the server cannot serve in time
NOT_SERVED = (
    "not served yet. It was checked against Triton's schema, and no server was seen to run it; "
    "compare its masks with a local engine's before use"
)


@dataclass(frozen=True)
class Platform:
    """What runs a model inside Triton."""

    field: str  # of the configuration, "backend" or "platform"
    name: str
    kind: str  # of an instance, as Triton names it
    file: str  # of the model, in its version's folder
    wait_microseconds: int  # for other rooms' frames; 0 takes those that wait already
    served: bool = False  # whether a real server was seen to answer what a local engine answers


@dataclass(frozen=True)
class ModelOptions:
    """What is asked for beside the network."""

    name: str  # of the model on the server
    precision: str = "auto"  # of the Python model; the others' is in their file
    instances: int = 1
    batch: int = MAX_BATCH  # frames in one run


def model_config(spec: EngineSpec, platform: Platform, options: ModelOptions) -> str:
    """The text of config.pbtxt; raises BackendError where tritonclient, which has the schema, is absent."""
    schema, text_format = _schema()
    config = schema.ModelConfig(name=options.name, max_batch_size=options.batch)
    setattr(config, platform.field, platform.name)
    config.default_model_filename = platform.file
    frames, probability = [spec.height, spec.width, 3], [spec.height, spec.width]
    config.input.add(name=spec.input_name, data_type=schema.TYPE_UINT8, dims=frames)
    config.output.add(name=spec.output_name, data_type=schema.TYPE_UINT8, dims=probability)
    config.instance_group.add(
        count=options.instances, kind=schema.ModelInstanceGroup.Kind.Value(platform.kind)
    )
    config.version_policy.latest.num_versions = 1
    config.dynamic_batching.max_queue_delay_microseconds = platform.wait_microseconds
    config.dynamic_batching.default_queue_policy.max_queue_size = MAX_WAITING
    warm_up = config.model_warmup.add(name="black frame", batch_size=1)
    warm_up.inputs[spec.input_name].CopyFrom(
        schema.ModelWarmup.Input(data_type=schema.TYPE_UINT8, dims=frames, zero_data=True)
    )
    for key, value in ((SPEC_PARAMETER, _told(spec)), ("rtpolyp_precision", options.precision)):
        config.parameters[key].string_value = value
    mark = "" if platform.served else f"# {platform.name}: {NOT_SERVED}\n"
    return f"# Written by rtpolyp serve-export.\n{mark}{text_format.MessageToString(config)}"


def _told(spec: EngineSpec) -> str:
    """What a client has to know: the spec without its figures and its history."""
    told = asdict(replace(spec, metrics={}, training={}, golden={}))
    return json.dumps(told, separators=(",", ":"))


def _schema() -> tuple[Any, Any]:
    try:
        from google.protobuf import text_format  # type: ignore[import-untyped] # it ships no types
        from tritonclient.grpc import model_config_pb2
    except ImportError as exc:
        raise BackendError(
            "tritonclient, which has Triton's schema, is not usable; pip install 'rtpolyp[remote]'"
        ) from exc
    return model_config_pb2, text_format
