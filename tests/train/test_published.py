"""Fetching published weights from a real server on this machine: the hash is checked, the cache is used."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from rtpolyp.errors import InputError
from rtpolyp.spec import sha256_of
from train.encoders import create_encoder
from train.encoders.published import PUBLISHED, Published, fetch
from train.networks import NetworkSpec, create_network


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that a server publishes as VGG16's weights; PyTorch's cache is empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    file = tmp_path / "site" / "vgg16-test.pth"
    file.parent.mkdir()
    torch.manual_seed(0)
    torch.save(create_encoder("vgg16", pretrained=False).state_dict(), file)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(file.parent))) as server:
        url = f"http://127.0.0.1:{server.server_port}/{file.name}"
        monkeypatch.setitem(PUBLISHED, "vgg16", Published(url, sha256_of(file)[:8]))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield file
        server.shutdown()
        thread.join()


def test_published_weights_are_fetched_once(published):
    network = create_network(NetworkSpec("fcn-if"), "imagenet")
    expected = torch.load(published, weights_only=True)
    assert all(torch.equal(expected[key], value) for key, value in network.encoder.state_dict().items())
    published.unlink()
    assert sha256_of(fetch("vgg16")).startswith(PUBLISHED["vgg16"].sha256)


def test_a_file_with_another_hash_fails_and_is_not_kept(published, tmp_path):
    published.write_bytes(b"half of it")
    for _ in range(2):
        with pytest.raises(InputError, match=r"vgg16-test\.pth: cannot be fetched \(invalid hash value"):
            fetch("vgg16")
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_no_network_fails_naming_the_address_and_the_way_out(published, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as closed:
        port = closed.server_port
    monkeypatch.setitem(PUBLISHED, "vgg16", Published(f"http://127.0.0.1:{port}/vgg16.pth", "0"))
    with pytest.raises(
        InputError, match=r"/vgg16\.pth: cannot be fetched \(.*refused.* --backbone-weights PATH"
    ):
        create_network("fcn", "imagenet")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_file_name_holds_the_hash_that_is_checked(name):
    url, sha256 = PUBLISHED[name]
    assert url.endswith(f"-{sha256}.pth")
    assert len(sha256) == 8


def test_imagenet_is_the_packages_where_one_installs_them():
    fetched, installed = (create_network("pranet-if", pretrained) for pretrained in ("imagenet", True))
    theirs = installed.encoder.state_dict()
    assert all(torch.equal(theirs[key], value) for key, value in fetched.encoder.state_dict().items())
