"""export_repository: a model folder as Triton's servers load it, whole or not at all."""

import shutil
from pathlib import Path

from rtpolyp.checks import require_choice, require_number
from rtpolyp.errors import InputError
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.inference.openvino import OPENVINO
from rtpolyp.inference.remote.address import MODEL
from rtpolyp.inference.tensorrt.plan import Plan, read_plan
from rtpolyp.inference.tensorrt.plans import is_plan
from rtpolyp.published_folder import published
from rtpolyp.serving.model_config import ModelOptions, Platform, model_config

__all__ = ["CONFIG_FILE", "PLATFORMS", "export_repository"]

CONFIG_FILE = "config.pbtxt"
VERSION = "1"
BUNDLE_FOLDER = "bundle"
PLATFORMS = {
    # OpenVINO's streams work on the frames of a run side by side; waiting for more would only delay them
    "openvino": Platform("backend", "python", "KIND_CPU", "model.py", 0, served=True),
    "onnxruntime": Platform("platform", "onnxruntime_onnx", "KIND_AUTO", "model.onnx", 1000),
    "tensorrt": Platform("platform", "tensorrt_plan", "KIND_GPU", "model.plan", 1000),
}
MODEL_SOURCE = '''\
"""rtpolyp's engine in Triton's Python backend, written by `rtpolyp serve-export`.

The server's Python needs rtpolyp: pip install rtpolyp.
"""

from rtpolyp.serving.triton_model import TritonPythonModel as TritonPythonModel
'''


def export_repository(
    engine: str | Path,
    repository: Path,
    *,
    platform: str | None = None,
    name: str | None = None,
    precision: str = "auto",
    instances: int = 1,
) -> tuple[Path, Platform]:
    """Write the model of a bundle, by name or folder, or of a TensorRT plan's file; return its folder.

    `platform` is a key of PLATFORMS, by default "openvino" for a bundle and "tensorrt" for a plan. `name` is
    that of the model on the server, the network's by default; an earlier export of that name is replaced.
    `precision` is the OpenVINO engine's, "auto" the fastest on the server's processor. `instances` share the
    server's cores or card.

    Raises InputError for what makes no sense, EngineError for a broken bundle or plan, BackendError where
    tritonclient is absent, OutputError where the folder cannot be written.
    """
    source: Bundle | Plan = read_plan(Path(engine)) if is_plan(engine) else load_bundle(engine)
    if platform is None:
        platform = "tensorrt" if isinstance(source, Plan) else "openvino"
    require_choice("platform", platform, tuple(PLATFORMS))
    require_choice("precision", precision, ("auto", *OPENVINO.precisions))
    require_number("instances", instances, least=1, most=64, example="a whole number such as 1")
    _check(source, platform, precision)
    spec = source.spec.engine if isinstance(source, Plan) else source.spec
    name = name or spec.name
    if not MODEL.fullmatch(name):
        raise InputError(f" {name!r}: give up to 100 letters, digits and . + - _", parameter="name")
    options = ModelOptions(name, precision, instances)
    if isinstance(source, Plan):
        options = ModelOptions(name, source.spec.precision, instances, source.spec.batch[2])
    chosen = PLATFORMS[platform]
    text = model_config(spec, chosen, options)  # first: it needs a library
    with published(repository / name, CONFIG_FILE) as staging:
        (staging / VERSION).mkdir()
        _write_model(source, platform, staging / VERSION)
        (staging / CONFIG_FILE).write_text(text, encoding="utf-8")
    return repository / name, chosen


def _check(source: Bundle | Plan, platform: str, precision: str) -> None:
    """Raise InputError where the platform cannot run the source."""
    if isinstance(source, Plan) != (platform == "tensorrt"):
        needed = "a bundle" if isinstance(source, Plan) else "a TensorRT plan's file"
        raise InputError(f" {platform}: takes {needed}; give one, or another platform", parameter="platform")
    if isinstance(source, Plan) and source.spec.flavour != "tensorrt":
        raise InputError(
            f"{source.path}: built by {source.spec.flavour}, which Triton does not load; build it by tensorrt"
        )
    if platform != "openvino" and precision != "auto":
        raise InputError(f" {precision}: is for platform openvino; leave it out", parameter="precision")


def _write_model(source: Bundle | Plan, platform: str, folder: Path) -> None:
    file = folder / PLATFORMS[platform].file
    if isinstance(source, Plan):
        file.write_bytes(source.content)
    elif platform == "onnxruntime":
        shutil.copyfile(source.model("fp32"), file)
    else:
        file.write_text(MODEL_SOURCE, encoding="utf-8")
        (folder / BUNDLE_FOLDER).mkdir()
        golden = [source.spec.golden["frame"]] if source.spec.golden else []
        for name in ("spec.json", *golden, *source.spec.sha256):
            shutil.copyfile(source.folder / name, folder / BUNDLE_FOLDER / name)
