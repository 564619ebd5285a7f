"""KServe v2 over gRPC, by NVIDIA's client."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import BackendError, EngineError
from rtpolyp.inference.local_engine import one_line
from rtpolyp.inference.remote.address import TOKEN, TOKEN_FILE, RemoteAddress
from rtpolyp.inference.remote.connection import MAX_ANSWER_BYTES
from rtpolyp.spec import EngineSpec

__all__ = ["GrpcConnection"]

CHANNEL = (
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.max_send_message_length", -1),
    # gRPC would wait for up to two minutes before it tries a lost server again
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
MAX_REASON = 200  # characters
REMEDIES = {
    "StatusCode.UNAVAILABLE": "cannot be reached ({reason}); start the server, or correct the address",
    "StatusCode.DEADLINE_EXCEEDED": "gave no answer within {seconds:g} s; see whether it is overloaded",
    "StatusCode.UNAUTHENTICATED": f"refuses this client ({{reason}}); set {TOKEN} or {TOKEN_FILE}",
    "StatusCode.PERMISSION_DENIED": f"refuses this client ({{reason}}); check {TOKEN} or {TOKEN_FILE}",
}


class GrpcConnection:
    """A Connection; raises BackendError when the client is not installed."""

    def __init__(self, address: RemoteAddress) -> None:
        try:
            from tritonclient import grpc
            from tritonclient.utils import InferenceServerException
        except ImportError as exc:
            raise BackendError(
                f"tritonclient is not usable ({one_line(exc)}); pip install 'rtpolyp[remote]'"
            ) from exc
        self._library, self._failure = grpc, InferenceServerException
        self._address = address
        authority = None if address.authority is None else str(address.authority)
        self._client = grpc.InferenceServerClient(
            address.target, ssl=address.encrypted, root_certificates=authority, channel_args=list(CHANNEL)
        )

    def config(self, seconds: float) -> Mapping[str, Any]:
        """As Connection.config."""
        answer = self._ask("get_model_config", seconds, self._address.model, as_json=True)
        config: Mapping[str, Any] = answer["config"]
        return config

    def infer(self, spec: EngineSpec, frames: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """As Connection.infer."""
        given = self._library.InferInput(spec.input_name, list(frames.shape), "UINT8")
        given.set_data_from_numpy(frames)
        wanted = self._library.InferRequestedOutput(spec.output_name)
        answer = self._ask("infer", seconds, self._address.model, [given], outputs=[wanted])
        probability = answer.as_numpy(spec.output_name)
        if probability is None:
            raise EngineError(f"{self._address}: answered without {spec.output_name}; export it again")
        return np.array(probability)

    def close(self) -> None:
        """As Connection.close."""
        self._client.close()

    def _ask(self, call: str, seconds: float, *arguments: Any, **named: Any) -> Any:
        try:
            return getattr(self._client, call)(
                *arguments, headers=self._address.headers, client_timeout=seconds, **named
            )
        except self._failure as exc:
            reason = " ".join((exc.message() or "no reason given").split())[:MAX_REASON]
            words = REMEDIES.get(str(exc.status()), "answered an error: {reason}")
            raise EngineError(f"{self._address}: {words.format(reason=reason, seconds=seconds)}") from exc
