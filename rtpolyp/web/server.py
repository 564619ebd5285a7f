"""What runs in the web server's process, until the pipe to the pipeline ends."""

import asyncio
import contextlib
import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError
from rtpolyp.web.address import Address
from rtpolyp.web.slots import Slots

__all__ = ["check_installed", "run_server", "serve"]

LIBRARIES = ("aiortc", "starlette", "uvicorn")
MOST_CONNECTIONS = 128  # at once; further ones are answered 503
IDLE_SECONDS = 10
NICE = 10  # behind the pipeline, where the processor is short
OOM_SCORE = Path("/proc/self/oom_score_adj")
FIRST_VICTIM = "600"  # of 1000: when memory runs out, the system ends this process before the pipeline


def check_installed(parameter: str = "serve") -> None:
    """Raise InputError where the extra [serve] is not installed."""
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        raise InputError(
            f": needs {', '.join(missing)}; run pip install 'rtpolyp[serve]'", parameter=parameter
        )


def serve(
    connection: Connection, listener: socket.socket, address: Address, slots: str, info: Mapping[str, Any]
) -> None:
    """Serve the live page on `listener`; say "ready", then take pictures and say which slots are free.

    A picture is (slot, (width, height), JSON); None, or the end of the pipe, ends the process at once.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        OOM_SCORE.write_text(FIRST_VICTIM)
    from rtpolyp.web.board import Board
    from rtpolyp.web.guard import Guard
    from rtpolyp.web.hub import Hub
    from rtpolyp.web.live_app import live_app
    from rtpolyp.web.viewers import Viewers

    sending = threading.Lock()

    def send(message: object) -> None:
        with sending, contextlib.suppress(OSError):
            connection.send(message)

    hub = Hub(send)
    board, viewers = Board(hub), Viewers(hub, address)
    reader = threading.Thread(
        target=_read, args=(connection, Slots.attach(slots), hub, send), name="rtpolyp-reader", daemon=True
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        hub.start()
        following = asyncio.create_task(board.follow())
        reader.start()
        send("ready")
        yield
        following.cancel()

    app = live_app(hub, viewers, board, info)
    app.router.lifespan_context = lifespan
    run_server(Guard(app, address), listener)


def run_server(app: Any, listener: socket.socket) -> None:
    """Serve an ASGI application on a socket that listens, until the process ends."""
    import uvicorn

    from rtpolyp.web.impatient import Impatient

    logging.getLogger("aioice").setLevel(logging.CRITICAL)  # viewers that go away are no errors of ours
    logging.getLogger("aiortc").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        ws="none",
        lifespan="on",
        http=Impatient,
        timeout_graceful_shutdown=1,
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def _read(connection: Connection, slots: Slots, hub: Any, send: Any) -> None:
    """Take what the pipeline sends; the process ends with the pipe."""
    try:
        while (item := connection.recv()) is not None:
            slot, size, message = item
            planes = slots.planes(slot, size).copy()
            send(slot)
            hub.put(planes, message)
    except (EOFError, OSError):
        pass  # the pipeline is gone
    hub.end()
    threading.Event().wait(0.1)  # for the last word to the pages
    os._exit(0)
