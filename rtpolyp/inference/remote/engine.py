"""RemoteEngine: a network on a server, behind the same contract as one on this machine."""

import logging
import time

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import BackendError, EngineError
from rtpolyp.inference.engine import Goal
from rtpolyp.inference.local_engine import SlotEngine
from rtpolyp.inference.remote.address import RemoteAddress
from rtpolyp.inference.remote.connection import Connection, read_served
from rtpolyp.inference.remote.grpc_connection import GrpcConnection
from rtpolyp.inference.remote.http_connection import HttpConnection

__all__ = ["RemoteEngine"]

log = logging.getLogger(__name__)

OPEN_SECONDS = 5.0  # to be told the model's configuration
# Until a frame has to be answered. A live run shows its picture meanwhile, and kills an engine's process that
# says nothing for a second. A file waits longer, for a server that several rooms share.
DEADLINE_SECONDS: dict[Goal, float] = {"latency": 0.8, "throughput": 20.0}
KNOWN_SECONDS = 10.0  # after which the configuration is asked again: another model may have been loaded
IN_FLIGHT: dict[Goal, int] = {"latency": 2, "throughput": 4}  # requests; the server makes batches of them


class RemoteEngine(SlotEngine):
    """Runs a model that a server of KServe's protocol v2 serves, as `rtpolyp serve-export` writes it.

    `url` is grpc://HOST:PORT/MODEL, grpcs:// with TLS, or http:// and https://. Network, threshold and input
    size are the server's, so no bundle is needed here. A frame that is not answered in time, or a server that
    is lost, is an EngineError of that frame; the next frame connects again. A server that has another network
    by then is refused, and one that changes it while it runs, within KNOWN_SECONDS.

    Raises InputError for another form of URL, BackendError where the client is not installed or `batch` is
    more than the server takes, EngineError where the server cannot be reached or serves something else.
    """

    backend = "remote"

    def __init__(self, url: str, *, optimise_for: Goal = "latency", batch: int = 1) -> None:
        self._address = RemoteAddress.parse(url)
        self._deadline = DEADLINE_SECONDS[optimise_for]
        over_grpc = self._address.scheme.startswith("grpc")
        self._connection: Connection = (GrpcConnection if over_grpc else HttpConnection)(self._address)
        self._lost = False  # since a request failed
        try:
            spec, most = read_served(self._connection.config(OPEN_SECONDS), self._address)
            if batch > most:
                raise BackendError(f"{self._address}: takes {most} frames a request, not {batch}")
        except BaseException:
            self._connection.close()
            raise
        shape = (batch, spec.height, spec.width, 3)
        self._known_until = time.monotonic() + KNOWN_SECONDS
        inputs = [np.zeros(shape, np.uint8) for _ in range(IN_FLIGHT[optimise_for])]
        super().__init__(spec, f"remote {self._address}, {len(inputs)} requests in flight", inputs)

    def _infer(self, slot: int, count: int) -> NDArray[np.uint8]:
        try:
            if self._lost or time.monotonic() > self._known_until:
                self._recognise()
            return self._connection.infer(self.spec, self._inputs[slot][:count], self._deadline)
        except EngineError:
            self._lost = True
            raise

    def _recognise(self) -> None:
        """Raise EngineError unless the server has the network that it had when the engine was opened."""
        self._known_until = time.monotonic() + KNOWN_SECONDS  # first: requests beside this one need not ask
        spec, _ = read_served(self._connection.config(self._deadline), self._address)
        if spec != self.spec:
            raise EngineError(f"{self._address}: serves another network than before; open the engine again")
        if self._lost:
            self._lost = False
            log.warning("%s: the server is back", self._address)

    def _end(self) -> None:
        super()._end()
        self._connection.close()
