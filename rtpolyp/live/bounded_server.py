"""BoundedServer: a WSGI server of few connections, each of little time."""

import contextlib
import socket
import threading
import time
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

__all__ = ["ANSWER_SECONDS", "MOST_CONNECTIONS", "BoundedServer"]

MOST_CONNECTIONS = 8  # at once; further ones are closed unanswered
ANSWER_SECONDS = 5.0  # that a connection may take in all, however slowly its client asks or reads


class BoundedServer(ThreadingMixIn, WSGIServer):
    """Serves one WSGI application at HOST and PORT; raises OSError where it cannot listen.

    Each connection has a thread. Whoever has held one for ANSWER_SECONDS is cut off. No name server is asked
    for the names of clients or of this machine.
    """

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, host: str, port: int) -> None:
        self._open: dict[socket.socket, float] = {}  # with the monotonic time at which each has to end
        self._changing = threading.Lock()
        self.address_family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind as WSGIServer does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread, or close the connection where there are too many."""
        with self._changing:
            is_full = len(self._open) >= MOST_CONNECTIONS
            if not is_full:
                self._open[request] = time.monotonic() + ANSWER_SECONDS
        if is_full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._changing:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off whoever takes too long; called again and again."""
        now = time.monotonic()
        with self._changing:
            for connection in [one for one, end in self._open.items() if end < now]:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is no error of ours."""


class _Handler(WSGIRequestHandler):
    timeout = ANSWER_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not logged."""

    def address_string(self) -> str:
        """The client's address, without a look at its name."""
        return str(self.client_address[0])
