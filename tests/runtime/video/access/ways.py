"""Ways in for what a hostile sender sends, each a context manager that yields the address to open."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["answering", "fifo", "http", "tcp", "udp"]


@contextlib.contextmanager
def tcp(data: bytes) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextlib.contextmanager
def udp(data: bytes) -> Iterator[str]:
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not over.wait(0.01):
                with contextlib.suppress(OSError):
                    out.sendto(data, ("127.0.0.1", port))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield f"udp://127.0.0.1:{port}"
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def http(data: bytes, folder: Path, path: str, kind: str = "video/mp2t") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            body = data if self.path == path else b""
            if name.startswith("good."):
                body = (folder / name).read_bytes()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{path}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def answering(status: str, location: str, protocol: str) -> Iterator[str]:
    """Redirects everything that it is asked, by HTTP or RTSP."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=talk, args=(client,), daemon=True).start()

    def talk(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, IndexError):
            while not over.is_set() and (request := client.recv(65536)):
                number = request.partition(b"CSeq: ")[2].partition(b"\r")[0].decode()
                allowed = request.startswith(b"OPTIONS")
                line, there = ("200 OK", "") if allowed else (status, f"Location: {location}\r\n")
                number = f"CSeq: {number}\r\n" if number else "Content-Length: 0\r\n"
                client.sendall(f"{protocol} {line}\r\n{number}{there}\r\n".encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"{protocol.partition('/')[0].lower()}://nurse:planted@127.0.0.1:{listener.getsockname()[1]}/a"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


@contextlib.contextmanager
def fifo(data: bytes, folder: Path) -> Iterator[str]:
    path = folder / "pipe.ts"
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    def write() -> None:
        with contextlib.suppress(OSError):
            path.write_bytes(data)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield str(path)
    thread.join(5)
