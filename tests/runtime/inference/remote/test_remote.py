"""A network on a server: what opens, what is lost and comes back, and what is refused in one line."""

import contextlib
import json
import socket
import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import rtpolyp
from rtpolyp.cli import run_command_line
from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference import open_engine
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.inference.remote import engine as remote
from rtpolyp.inference.remote.address import RemoteAddress
from rtpolyp.inference.remote.connection import read_served
from rtpolyp.inference.remote.http_connection import HttpConnection
from tests.runtime.clips import Clip, make_clip
from tests.runtime.inference.remote.certificates import write_certificate
from tests.runtime.kserve_server import Server, kserve_server
from tests.runtime.processes import wait_until
from tests.runtime.tiny_bundle import red_square

FRAMES = red_square()[np.newaxis]
TOKEN = "open-sesame-1234"

each_transport = pytest.mark.parametrize("scheme", ["grpc", "http"])


@pytest.fixture(scope="module")
def guarded(
    remote_client: None, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Server, Path]:
    """A server with TLS that asks for a token, and the certificate of its own authority."""
    certificate, key = write_certificate(tmp_path_factory.mktemp("tls"))
    options = ("--key", key, "--certificate", certificate, "--token", TOKEN)
    with kserve_server(bundle.folder, *options) as server:
        yield server, certificate


@each_transport
def test_settings_and_masks_are_the_servers(kserve: Server, bundle: Bundle, scheme: str):
    with open_engine(kserve.url(scheme)) as engine, OpenVinoEngine(bundle) as local:
        assert (engine.backend, engine.spec) == ("remote", bundle.spec)
        assert engine.description == f"remote {kserve.url(scheme)}, 2 requests in flight"
        found, expected = (one.submit(FRAMES).result(20).probability for one in (engine, local))
    np.testing.assert_array_equal(found, expected)


def test_the_library_takes_an_address(kserve: Server):
    with rtpolyp.load(kserve.url()) as model:
        assert len(model(red_square()).polyps) == 1


@each_transport
def test_tls_with_ones_own_authority_and_a_token(guarded, monkeypatch, tmp_path: Path, scheme: str, caplog):
    server, certificate = guarded
    url = server.url(f"{scheme}s", host="localhost")
    monkeypatch.setenv("RTPOLYP_ENGINE_CA", str(certificate))
    with pytest.raises(EngineError, match=r"refuses this client .*set RTPOLYP_ENGINE_TOKEN or"):
        open_engine(url)
    monkeypatch.setenv("RTPOLYP_ENGINE_TOKEN", "something-else")
    with pytest.raises(EngineError, match="refuses this client") as refused:
        open_engine(url)
    assert "something-else" not in str(refused.value)
    monkeypatch.setenv("RTPOLYP_ENGINE_TOKEN", TOKEN)
    with open_engine(url) as engine:
        assert engine.submit(FRAMES).result(20).probability.any()
        assert TOKEN not in engine.description
    assert TOKEN not in repr(RemoteAddress.parse(url))
    monkeypatch.delenv("RTPOLYP_ENGINE_TOKEN")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("RTPOLYP_ENGINE_TOKEN_FILE", str(tmp_path / "token"))
    open_engine(url).close()
    other, _ = write_certificate(tmp_path)
    monkeypatch.setenv("RTPOLYP_ENGINE_CA", str(other))
    with pytest.raises(EngineError, match=r"cannot be reached \(.*\); start the server, or"):
        open_engine(url)


@each_transport
def test_a_lost_server_fails_a_frame_and_the_next_one_finds_it_again(
    bundle: Bundle, remote_client: None, scheme: str, caplog
):
    with kserve_server(bundle.folder) as server, open_engine(server.url(scheme)) as engine:
        expected = engine.submit(FRAMES).result(20).probability
        server.process.kill()
        server.process.wait()
        for _ in range(3):
            with pytest.raises(EngineError, match=rf"{server.url(scheme)}: cannot be reached"):
                engine.submit(FRAMES).result(20)
        with kserve_server(bundle.folder, ports=server.ports):
            wait_until(lambda: engine.submit(FRAMES).exception(20) is None)
            np.testing.assert_array_equal(engine.submit(FRAMES).result(20).probability, expected)
        assert f"{server.url(scheme)}: the server is back" in caplog.text


def test_a_server_that_has_another_network_meanwhile_is_refused(
    bundle: Bundle, remote_client: None, monkeypatch
):
    """Even where no request failed in between."""
    monkeypatch.setattr(remote, "KNOWN_SECONDS", 0.0)
    with kserve_server(bundle.folder) as server:
        engine = open_engine(server.url("http"))
    other = kserve_server(bundle.folder, "--threshold", 0.6, ports=server.ports)
    message = "serves another network than before; open the engine again"
    with other, engine, pytest.raises(EngineError, match=message):
        engine.submit(FRAMES).result(20)


def test_a_frame_has_a_deadline(bundle: Bundle, remote_client: None, monkeypatch):
    monkeypatch.setitem(remote.DEADLINE_SECONDS, "latency", 0.2)
    with kserve_server(bundle.folder, "--delay", 3) as server:
        for scheme in ("grpc", "http"):
            with open_engine(server.url(scheme)) as engine:
                begun = time.monotonic()
                with pytest.raises(
                    EngineError, match=r"gave no answer within 0\.2 s; see whether it is over"
                ):
                    engine.submit(FRAMES).result(20)
                assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("begun_with", "again"),
    [(b"HTTP/1.1 200 OK\r\n\r\n", b"{"), (b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"", b"H")],
    ids=["body", "header", "first line"],
)
def test_an_answer_of_a_byte_now_and_then_has_a_deadline(
    remote_client: None, begun_with: bytes, again: bytes
):
    listener, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):
            client.recv(65536)
            client.sendall(begun_with)
            while not over.wait(0.05):
                client.sendall(again)

    thread = threading.Thread(target=serve)
    thread.start()
    connection = HttpConnection(RemoteAddress.parse(f"http://127.0.0.1:{listener.getsockname()[1]}/tiny"))
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"gave no answer within 0\.5 s"):
        connection.config(0.5)
    assert time.monotonic() - begun < 5.0
    over.set()
    thread.join()
    listener.close()
    connection.close()


def test_a_model_of_another_shape_is_refused(bundle: Bundle, remote_client: None):
    with kserve_server(bundle.folder, "--sides", "32,32") as server:
        for scheme in ("grpc", "http"):
            with pytest.raises(
                EngineError, match=r"another shape: frames TYPE_UINT8 \[32, 32, 3\]; .* 96x64"
            ):
                open_engine(server.url(scheme))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "a model without rtpolyp's settings; serve what `rtpolyp serve-export` writes"),
        ({"threshold": 7}, r"grpc://host:8001/tiny's rtpolyp_spec: threshold is 7, not a number between 0"),
        ({"colour": 1}, r"rtpolyp_spec: unknown field 'colour'"),
        ("{", r"its rtpolyp_spec is not JSON \("),
    ],
)
def test_settings_of_a_server_are_checked(bundle: Bundle, parameters: object, message: str):
    config: dict = {"max_batch_size": 8, "input": [], "output": [], "parameters": {}}
    if parameters:
        told = parameters if isinstance(parameters, str) else json.dumps(asdict(bundle.spec) | parameters)
        config["parameters"] = {"rtpolyp_spec": {"string_value": told}}
    with pytest.raises(EngineError, match=message):
        read_served(config, RemoteAddress.parse("grpc://host/tiny"))


@each_transport
def test_a_model_that_the_server_has_not_is_told(kserve: Server, scheme: str):
    with pytest.raises(EngineError, match=r"/other: answered an error: .*unknown model"):
        open_engine(kserve.url(scheme, model="other"))


@pytest.mark.parametrize("scheme", ["grpc", "http", "https"])
def test_an_unreachable_server_is_one_line_and_exit_code_2(
    remote_client, scheme: str, tmp_path: Path, capsys
):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=3))
    assert run_command_line(["run", str(clip), "--engine", f"{scheme}://127.0.0.1:9/pranet-if"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{scheme}://127.0.0.1:9/pranet-if: cannot be reached (" in line
    assert list(tmp_path.iterdir()) == [clip]


@pytest.mark.parametrize(
    "url",
    [
        "grpc://",
        "grpc://host",
        "http://host:8000/",
        "grpc://host:99999/m",
        "https://host/a/b",
        "grpc://h/m?q=1",
    ],
)
def test_a_url_that_names_no_model_fails(url: str):
    with pytest.raises(InputError, match="not the address of a served network; give one like grpc://"):
        open_engine(url)


def test_a_secret_in_the_address_fails_and_is_not_repeated(monkeypatch):
    with pytest.raises(InputError, match=r"holds no name or password.*RTPOLYP_ENGINE_TOKEN") as refused:
        open_engine("grpc://user:secret@host/model")
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("RTPOLYP_ENGINE_TOKEN", TOKEN)
    with pytest.raises(BackendError, match="a token would travel unencrypted; use grpcs://") as refused:
        open_engine("grpc://host/model")
    assert TOKEN not in str(refused.value)
    monkeypatch.setenv("RTPOLYP_ENGINE_TOKEN", "two words")
    with pytest.raises(BackendError, match="holds no bearer token") as refused:
        open_engine("grpcs://host/model")
    assert "two words" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "message"),
    [("RTPOLYP_ENGINE_TOKEN_FILE", "cannot be read"), ("RTPOLYP_ENGINE_CA", "cannot be read|no certificate")],
)
def test_a_file_of_the_environment_that_cannot_be_used_fails(
    variable: str, message: str, monkeypatch, tmp_path
):
    for path in (tmp_path / "missing", tmp_path):
        monkeypatch.setenv(variable, str(path))
        with pytest.raises(BackendError, match=rf"{path}: {variable} names it, and it {message}"):
            open_engine("grpcs://host/model")


@pytest.mark.parametrize(
    "option", [{"backend": "openvino"}, {"precision": "int8"}, {"size": (64, 64)}, {"threads": 1}]
)
def test_what_the_server_chooses_cannot_be_chosen_here(option: dict):
    (name,) = option
    with pytest.raises(InputError, match=f"{name} is the server's choice of grpc://host/model; leave it out"):
        open_engine("grpc://host/model", **option)


def test_more_frames_than_the_server_takes_fail(kserve: Server):
    with pytest.raises(BackendError, match="takes 8 frames a request, not 9"):
        open_engine(kserve.url(), batch=9)


def test_without_the_client_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tritonclient", None)
    with pytest.raises(BackendError, match=r"pip install 'rtpolyp\[remote\]'"):
        open_engine("grpc://host/model")
