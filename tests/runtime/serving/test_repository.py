"""Model repositories for Triton: by its own schema, from the spec alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.errors import EngineError, InputError, OutputError, WrongResult
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.inference.remote.address import RemoteAddress
from rtpolyp.inference.remote.connection import read_served
from rtpolyp.serving.repository import PLATFORMS, export_repository
from rtpolyp.serving.triton_model import open_checked, predict_all
from tests.runtime.simulated_tensorrt import simulated_plan
from tests.runtime.stub_engine import StubEngine
from tests.runtime.tiny_bundle import red_square

pytestmark = pytest.mark.usefixtures("remote_client")


def read_config(folder: Path):
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


@pytest.fixture
def engine(request: pytest.FixtureRequest, platform: str, tmp_path: Path, bundle: Bundle) -> str:
    """What a platform takes."""
    if platform == "tensorrt":
        return str(simulated_plan(tmp_path / "plans", bundle.spec, "tensorrt").path)
    return str(bundle.folder)


@pytest.fixture(autouse=True)
def _plans(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_repository_says_all_that_server_and_client_need(
    platform: str, engine: str, tmp_path: Path, bundle: Bundle
):
    from google.protobuf import json_format

    folder, chosen = export_repository(engine, tmp_path / "models", platform=platform, instances=2)
    assert folder == tmp_path / "models" / "tiny"
    config = read_config(folder)
    assert (config.name, config.max_batch_size) == ("tiny", 4 if platform == "tensorrt" else 8)
    assert (config.platform or config.backend) == {
        "openvino": "python", "onnxruntime": "onnxruntime_onnx", "tensorrt": "tensorrt_plan"
    }[platform]  # fmt: skip
    assert config.instance_group[0].count == 2
    assert config.HasField("dynamic_batching")
    assert config.version_policy.latest.num_versions == 1
    assert list(config.model_warmup[0].inputs["frames"].dims) == [64, 96, 3]
    assert (folder / "1" / config.default_model_filename).is_file()
    told = json_format.MessageToDict(config, preserving_proto_field_name=True)
    spec, most = read_served(told, RemoteAddress.parse("grpc://host/tiny"))
    assert (spec, most) == (bundle.spec, config.max_batch_size)
    marked = "not served yet" in (folder / "config.pbtxt").read_text()
    assert marked == (platform != "openvino") == (not chosen.served)


def test_what_is_served_is_the_file_itself(tmp_path: Path, bundle: Bundle):
    plan = simulated_plan(tmp_path / "plans", bundle.spec, "tensorrt")
    of_plan, _ = export_repository(plan.path, tmp_path)
    assert (of_plan / "1" / "model.plan").read_bytes() == plan.content
    of_graph, _ = export_repository(bundle.folder, tmp_path, platform="onnxruntime", name="graph")
    assert (of_graph / "1" / "model.onnx").read_bytes() == bundle.model("fp32").read_bytes()
    of_bundle, _ = export_repository(bundle.folder, tmp_path, name="bundle")
    assert load_bundle(of_bundle / "1" / "bundle").spec == bundle.spec


def test_the_command_replaces_an_earlier_export_and_marks_what_no_server_ran(
    tmp_path: Path, bundle: Bundle, capsys
):
    command = ["serve-export", str(bundle.folder), str(tmp_path)]
    assert run_command_line([*command, "--precision", "int8"]) == 0
    assert "not served" not in capsys.readouterr().out
    assert run_command_line([*command, "--platform", "onnxruntime"]) == 0
    assert "onnxruntime_onnx: not served yet" in capsys.readouterr().out
    assert not (tmp_path / "tiny" / "1" / "bundle").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"platform": "tensorrt"}, "platform tensorrt: takes a TensorRT plan's file; give one, or another"),
        ({"platform": "torch"}, "platform 'torch' is unknown"),
        ({"platform": "onnxruntime", "precision": "int8"}, "precision int8: is for platform openvino"),
        ({"precision": "fp16"}, "precision 'fp16' is unknown"),
        ({"name": "../up"}, r"name '\.\./up': give up to 100 letters"),
        ({"instances": 0}, "instances 0 is outside"),
    ],
)
def test_what_makes_no_sense_fails(options: dict, message: str, tmp_path: Path, bundle: Bundle):
    with pytest.raises(InputError, match=message):
        export_repository(bundle.folder, tmp_path / "models", **options)
    assert not (tmp_path / "models").exists()


def test_a_plan_that_triton_does_not_load_fails(tmp_path: Path, bundle: Bundle):
    plan = simulated_plan(tmp_path / "plans", bundle.spec, "tensorrt-rtx")
    with pytest.raises(InputError, match="built by tensorrt-rtx, which Triton does not load"):
        export_repository(plan.path, tmp_path / "models")


def test_a_folder_of_something_else_stays(tmp_path: Path, bundle: Bundle):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"holds something that has no config\.pbtxt"):
        export_repository(bundle.folder, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        export_repository(bundle.folder, tmp_path / "file")
    with pytest.raises(EngineError, match="no such bundle"):
        export_repository("no-such", tmp_path)


def test_a_model_is_compared_with_the_golden_frame_when_it_opens(golden_bundle: Bundle, bundle: Bundle):
    engine, checked = open_checked(golden_bundle.folder, "fp32")
    engine.close()
    assert checked == "golden frame: fp32 bit for bit"
    engine, checked = open_checked(bundle.folder, "fp32")
    engine.close()
    assert "no golden frame, so nothing was compared" in checked


def test_a_golden_frame_that_does_not_match_keeps_a_model_from_opening(wrong_bundle: Bundle):
    with pytest.raises(WrongResult, match="golden frame agrees with Dice"):
        open_checked(wrong_bundle.folder, "fp32")


def test_requests_of_several_rooms_keep_their_frames(bundle: Bundle):
    corners = [(8, 8), (40, 20), (60, 36), (24, 30), (50, 10)]
    frames = np.stack([red_square(corner=corner) for corner in corners])
    requests = [frames[:1], frames[1:4], frames[4:]]
    with StubEngine(replace(bundle.spec)) as engine:
        found = predict_all(engine, requests)
        one_by_one = [engine.submit(frame[np.newaxis]).result(20).probability for frame in frames]
    assert [len(probability) for probability in found] == [1, 3, 1]
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(one_by_one))
