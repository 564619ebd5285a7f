"""Ray on two nodes of this machine, an object store on loopback, and a node that is killed half-way."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtpolyp.batch.job import Job
from rtpolyp.batch.run import Workers, run_batch
from rtpolyp.batch.schedule import Progress
from rtpolyp.cli import run_command_line
from rtpolyp.errors import EngineError
from rtpolyp.inference.bundle import Bundle
from tests.runtime.batch.scenes import THRESHOLD, batch_here, frames_of, recipe, scene_clip

SECONDS, CHUNK_SECONDS = 4, 1.5
NAMES = ("a.mp4", "ward 1/b.mkv", "ward 1/c.mp4")
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of sockets and processes that it leaves


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch")
    for seed, name in enumerate(NAMES):
        (folder / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        scene_clip(folder / "videos" / name, seed=seed, seconds=SECONDS)
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[str]:
    """An S3-compatible server with the videos and one that is none; the environment has its address."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    before = dict(os.environ)
    os.environ.update(KEYS, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    client = boto3.client("s3")
    for bucket in ("videos", "results"):
        client.create_bucket(Bucket=bucket)
    for name in NAMES:
        client.upload_file(str(folder / "videos" / name), "videos", name)
    client.put_object(Bucket="videos", Key="ward 1/broken.mp4", Body=b"no video")
    yield f"{host}:{port}"
    os.environ.clear()
    os.environ.update(before)
    server.stop()


@pytest.fixture(scope="module")
def cluster(store: str) -> Iterator[object]:
    """Ray's head and a second node, with a processor each."""
    from ray.cluster_utils import Cluster

    # by default Ray's workers give way to all other processes; Ray spells the name so
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def test_a_killed_node_loses_nothing_and_doubles_nothing(folder: Path, cluster, bundle: Bundle):
    killed = []

    def tell(progress: Progress) -> None:
        if not killed and progress.frames > SECONDS * 25:  # of three videos, more than one
            killed.append(next(node for node in cluster.list_all_nodes() if not node.head))
            cluster.remove_node(killed[0], allow_graceful=False)

    options = {"pages": False, "chunk_seconds": CHUNK_SECONDS}
    job = Job("s3://results/batch 1", recipe(bundle.folder), THRESHOLD, **options)
    summary = run_batch(["s3://videos"], job, Workers(cluster.address), on_progress=tell)
    assert killed
    assert [one.video for one in summary.videos] == sorted(NAMES)
    assert len(summary.problems) == 1
    assert "broken.mp4: not a video" in summary.problems[0]
    assert summary.archive.problems == 1

    from pyarrow import fs

    fs.copy_files("s3://results/batch 1".replace(" ", "%20"), str(folder / "fetched"))
    batch_here(folder / "videos", Job(str(folder / "here"), recipe(bundle.folder), THRESHOLD, **options))
    for name in NAMES:
        found = frames_of(folder / "fetched", name)
        assert len(found) == SECONDS * 25
        assert found == frames_of(folder / "here", name)
    assert not list((folder / "fetched").rglob("chunks/**/*.parquet"))


def test_the_command_goes_on_in_the_same_folder_and_tells_the_broken_video(
    folder: Path, cluster, bundle: Bundle, capsys: pytest.CaptureFixture[str]
):
    (folder / "videos" / "broken.mp4").write_bytes(b"no video")
    command = ["batch", str(folder / "videos"), "-o", str(folder / "out"), "--ray-address", cluster.address]
    command += ["--engine", str(bundle.folder), "--precision", "fp32"]
    assert run_command_line(command) == 2
    printed = capsys.readouterr().out
    assert "3 videos, 0:12 of video:" in printed
    assert "broken.mp4: not a video that can be read" in printed
    assert run_command_line([*command, "--keep-going"]) == 0
    page = (folder / "out" / "index.html").read_text("utf-8")
    assert 'href="pages/ward%201/b.mkv.html"' in page
    assert "<td>broken.mp4</td>" in page
    lines = (folder / "out" / "videos.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [*sorted(NAMES), "broken.mp4"]
    (folder / "videos" / "broken.mp4").unlink()


def test_an_engine_that_no_worker_opens_ends_the_batch(folder: Path, cluster):
    job = Job(str(folder / "none"), recipe(folder / "no-bundle"))
    with pytest.raises(EngineError, match="no-bundle"):
        run_batch([str(folder / "videos")], job, Workers(cluster.address))


def test_an_address_without_ray_is_told_in_one_line(
    folder: Path, extra: None, capsys: pytest.CaptureFixture[str]
):
    command = ["batch", str(folder / "videos"), "-o", str(folder / "out"), "--ray-address"]
    for address in ("127.0.0.1:9", "ray://127.0.0.1:9", "nonsense"):
        assert run_command_line([*command, address]) == 2
        line = capsys.readouterr().err
        assert line.startswith(f"rtpolyp: --ray-address {address}: nothing answers there")
        assert line.count("\n") == 1
