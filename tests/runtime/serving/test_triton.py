"""NVIDIA's Triton, really running: it serves what this machine computes, and losing it costs no picture."""

import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import BackendError
from rtpolyp.inference import open_engine
from rtpolyp.inference.bundle import Bundle
from rtpolyp.live_run import run_live
from rtpolyp.phantom import render_phantom
from rtpolyp.serving.repository import export_repository
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from scripts.triton_server import TritonServer, triton
from tests.runtime.clips import Clip, make_clip
from tests.runtime.processes import wait_until

pytestmark = [pytest.mark.needs_triton, pytest.mark.usefixtures("remote_client", "triton_program")]

ROOMS, FRAMES_A_ROOM = 4, 4
LONGEST_GAP = 0.5  # seconds between two shown frames, 0.05 s apart in the clip, on a machine that is busy
SHIPPED = "pranet-if-fast"


@pytest.fixture(scope="module")
def served(remote_client: None, triton_program: None, tmp_path_factory: pytest.TempPathFactory):
    repository = tmp_path_factory.mktemp("models")
    export_repository(SHIPPED, repository, precision="int8")
    with triton(repository) as server:
        yield server


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """A phantom at the network's size, from no polyp to a large one."""
    return np.stack([frame.bgr for frame in render_phantom(8, (224, 224), fps=1, seed=2)])


@pytest.fixture(scope="module")
def expected(frames: np.ndarray) -> np.ndarray:
    with open_engine(SHIPPED, backend="openvino", precision="int8") as engine:
        found = [engine.submit(frame[np.newaxis]).result(60).probability[0] for frame in frames]
    assert any((probability >= 128).any() for probability in found)
    return np.stack(found)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_the_shipped_bundle_gives_the_local_engines_masks(
    served: TritonServer, frames: np.ndarray, expected: np.ndarray, scheme: str
):
    with open_engine(served.url(SHIPPED, scheme), batch=len(frames)) as engine:
        found = engine.submit(frames).result(60).probability
    np.testing.assert_array_equal(found, expected)


def test_frames_of_several_rooms_are_computed_together(
    served: TritonServer, frames: np.ndarray, expected: np.ndarray
):
    def counts() -> tuple[int, int]:
        address = f"http://127.0.0.1:{served.http_port}/v2/models/{SHIPPED}/stats"
        with urllib.request.urlopen(address) as answer:
            (stats,) = json.load(answer)["model_stats"]
        return int(stats["inference_count"]), int(stats["execution_count"])

    def room(number: int) -> list[np.ndarray]:
        with open_engine(served.url(SHIPPED), optimise_for="throughput") as engine:
            asked = [engine.submit(frames[number + i : number + i + 1]) for i in range(FRAMES_A_ROOM)]
            return [future.result(60).probability[0] for future in asked]

    before = counts()
    with ThreadPoolExecutor(ROOMS) as pool:
        found = list(pool.map(room, range(ROOMS)))
    for number, of_room in enumerate(found):
        np.testing.assert_array_equal(np.stack(of_room), expected[number : number + FRAMES_A_ROOM])
    inferences, executions = (after - first for after, first in zip(counts(), before, strict=True))
    assert inferences == ROOMS * FRAMES_A_ROOM
    assert executions < inferences


def test_a_golden_frame_that_does_not_match_is_not_served(wrong_bundle: Bundle, tmp_path: Path):
    export_repository(wrong_bundle.folder, tmp_path / "models", precision="fp32")
    refused = pytest.raises(
        BackendError, match=r"did not become ready: .*golden frame agrees with Dice 0\.\d+"
    )
    with refused, triton(tmp_path / "models"):
        pass


def test_a_live_run_loses_no_picture_with_its_server(golden_bundle: Bundle, tmp_path: Path):
    """Two servers after each other on one port, with nothing between them until the AI is off."""
    export_repository(golden_bundle.folder, tmp_path / "models", precision="fp32")
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=1000, rate=Fraction(20)))
    shown, raw, log = tmp_path / "out.mp4", tmp_path / "raw.mp4", tmp_path / "log.jsonl"
    stop = threading.Event()

    def is_on() -> bool:
        lines = log.read_text().splitlines() if log.exists() else []
        states = [event["state"] for event in map(json.loads, lines) if event["event"] == "ai"]
        return bool(states) and states[-1] in ("on", "reduced")  # of every frame, or of fewer

    def run(url: str) -> None:
        run_live(str(clip), Outputs(video=shown, raw=raw, log=log), model=url, stop=stop)

    with triton(tmp_path / "models") as server, ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, server.url("pranet-if"))
        try:
            wait_until(is_on)
            server.kill()
            wait_until(lambda: not is_on())
            with triton(tmp_path / "models", grpc_port=server.grpc_port):
                wait_until(is_on)
                stop.set()
                running.result(20)
        finally:
            stop.set()
    with open_source(raw) as source:
        np.testing.assert_allclose(np.diff([frame.pts_seconds for frame in source]), 1 / 20, atol=0.001)
    with open_source(shown) as source:
        times = np.array([frame.pts_seconds for frame in source])
    assert np.diff(times).max() < LONGEST_GAP
