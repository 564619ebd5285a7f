"""KServe v2 over HTTP, with the binary tensors of Triton's extension.

By urllib3, which NVIDIA's client brings along: its own HTTP half runs on gevent, whose connections belong to
one thread each.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.bounded_files import parse_json
from rtpolyp.deadline_socket import DeadlineSocket
from rtpolyp.errors import BackendError, EngineError
from rtpolyp.inference.local_engine import one_line
from rtpolyp.inference.remote.address import TOKEN, TOKEN_FILE, RemoteAddress
from rtpolyp.inference.remote.connection import MAX_ANSWER_BYTES
from rtpolyp.spec import EngineSpec

__all__ = ["HttpConnection"]

JSON_LENGTH = "Inference-Header-Content-Length"  # of the JSON that stands before the tensors' bytes
KEPT_OPEN = 8  # connections; more are opened when they are needed
MAX_REASON = 200  # characters
PIECE_BYTES = 1 << 20
OK, REFUSED = 200, (401, 403)


class _TimelyResponse(http.client.HTTPResponse):
    """A header and a body that come, together, within the time that the socket has for one read.

    Of http.client and urllib3 that limit begins anew with each read: a byte a second would never end.
    """

    def __init__(self, connection: socket.socket, *arguments: Any, **named: Any) -> None:
        seconds = connection.gettimeout()
        assert seconds is not None  # urllib3 gives it what is left of its Timeout
        timely: Any = DeadlineSocket(connection, seconds, seconds)
        super().__init__(timely, *arguments, **named)


class HttpConnection:
    """A Connection; raises BackendError when urllib3 is not installed."""

    def __init__(self, address: RemoteAddress) -> None:
        try:
            import urllib3
        except ImportError as exc:
            raise BackendError(
                f"urllib3 is not usable ({one_line(exc)}); pip install 'rtpolyp[remote]'"
            ) from exc
        self._library, self._address = urllib3, address
        self._path = f"/v2/models/{address.model}"
        options: dict[str, Any] = {"maxsize": KEPT_OPEN, "retries": False}
        self._pool: urllib3.HTTPConnectionPool
        if address.encrypted:
            authority = None if address.authority is None else str(address.authority)
            self._pool = urllib3.HTTPSConnectionPool(
                address.host, address.port, cert_reqs="CERT_REQUIRED", ca_certs=authority, **options
            )
        else:
            self._pool = urllib3.HTTPConnectionPool(address.host, address.port, **options)
        kind: Any = self._pool.ConnectionCls
        self._pool.ConnectionCls = type("TimelyConnection", (kind,), {"response_class": _TimelyResponse})

    def config(self, seconds: float) -> Mapping[str, Any]:
        """As Connection.config."""
        body, _ = self._ask("GET", f"{self._path}/config", seconds)
        return self._object(body)

    def infer(self, spec: EngineSpec, frames: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """As Connection.infer."""
        given = {"name": spec.input_name, "shape": frames.shape, "datatype": "UINT8"}
        wanted = {"name": spec.output_name, "parameters": {"binary_data": True}}
        request = {
            "inputs": [{**given, "parameters": {"binary_data_size": frames.nbytes}}],
            "outputs": [wanted],
        }
        head = json.dumps(request).encode()
        body, length = self._ask("POST", f"{self._path}/infer", seconds, head + frames.tobytes(), len(head))
        try:
            (answered,) = self._object(body[: int(length)])["outputs"]
            if answered["name"] != spec.output_name or answered["datatype"] != "UINT8":
                raise ValueError("another tensor")
            return np.frombuffer(body[int(length) :], np.uint8).reshape(answered["shape"]).copy()
        except (KeyError, TypeError, ValueError) as exc:
            raise EngineError(
                f"{self._address}: answered no {spec.output_name} ({one_line(exc)[:MAX_REASON]}); "
                "export it again"
            ) from exc

    def close(self) -> None:
        """As Connection.close."""
        self._pool.close()

    def _object(self, text: bytes) -> Mapping[str, Any]:
        try:
            found = parse_json(text.decode("utf-8"))
        except ValueError as exc:
            raise EngineError(f"{self._address}: answered no JSON ({one_line(exc)[:MAX_REASON]})") from exc
        if not isinstance(found, Mapping):
            raise EngineError(f"{self._address}: answered no JSON object")
        return found

    def _ask(
        self, method: str, path: str, seconds: float, body: bytes | None = None, length: int | None = None
    ) -> tuple[bytes, str]:
        """The answer's body and the length of the JSON in it; `length` is that of the JSON in `body`."""
        exceptions = self._library.exceptions
        try:
            answer = self._pool.urlopen(
                method,
                path,
                body,
                self._address.headers | ({} if length is None else {JSON_LENGTH: str(length)}),
                redirect=False,
                timeout=self._library.Timeout(total=seconds),
                preload_content=False,
            )
            content = self._whole(answer)
        except (exceptions.ReadTimeoutError, TimeoutError) as exc:
            raise EngineError(
                f"{self._address}: gave no answer within {seconds:g} s; see whether it is overloaded"
            ) from exc
        except (exceptions.HTTPError, OSError) as exc:
            reason = one_line(exc)[:MAX_REASON]
            raise EngineError(
                f"{self._address}: cannot be reached ({reason}); start the server, or correct the address"
            ) from exc
        if answer.status in REFUSED:
            raise EngineError(
                f"{self._address}: refuses this client (HTTP {answer.status}); set {TOKEN} or {TOKEN_FILE}"
            )
        if answer.status != OK or len(content) > MAX_ANSWER_BYTES:
            said = " ".join(content[:MAX_REASON].decode("utf-8", "replace").split())
            raise EngineError(f"{self._address}: answered an error: HTTP {answer.status} {said!a}")
        return content, answer.headers.get(JSON_LENGTH) or str(len(content))

    @staticmethod
    def _whole(answer: Any) -> bytes:
        """The body, or the beginning of one that is too long."""
        content = bytearray()
        while len(content) <= MAX_ANSWER_BYTES and (piece := answer.read1(PIECE_BYTES)):
            content += piece
        answer.release_conn()
        return bytes(content)
