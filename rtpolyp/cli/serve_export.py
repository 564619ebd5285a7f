"""`rtpolyp serve-export`: a bundle or a plan as a model of NVIDIA's Triton server."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtpolyp.serving.model_config import NOT_SERVED
from rtpolyp.serving.repository import PLATFORMS, export_repository
from rtpolyp.terminal.console import make_console, say_written

__all__ = ["serve_export"]


def serve_export(
    engine: str,
    repository: Path,
    /,
    *,
    platform: Annotated[str | None, Parameter(help=f"One of {', '.join(PLATFORMS)}.")] = None,
    name: str | None = None,
    precision: str = "auto",
    instances: int = 1,
) -> None:
    """Write a model that Triton serves, for `rtpolyp run --engine grpc://HOST:PORT/NAME`.

    Parameters
    ----------
    engine
        A bundle's name or folder, or a TensorRT plan's file.
    repository
        The server's model repository; the model becomes a folder in it.
    name
        The model's name on the server; the network's by default.
    precision
        Of platform openvino: fp32, bf16, int8, or auto, the fastest on the server's processor.
    instances
        How many run side by side; OpenVINO uses all cores with one.
    """
    folder, chosen = export_repository(
        engine, repository, platform=platform, name=name, precision=precision, instances=instances
    )
    console = make_console()
    say_written((folder,), console)
    if not chosen.served:
        console.print(f"{chosen.name}: {NOT_SERVED}", highlight=False, soft_wrap=True)
