"""An end that no stuck disk, library or terminal holds up: in two seconds, or at the second signal."""

import os
import signal
import socket
import sys
import threading
import time
from typing import NoReturn

__all__ = ["end_in_time", "leave"]

# From the first signal until the process is ended by force: two are promised, and among many busy processes
# the system took up to 0.6 s to end one.
END_SECONDS = 1.4
ONE_PRESS_SECONDS = 0.3  # `timeout` and shells send one signal twice, to the process and to its group
EXIT_CODE = 130
WATCHER = "rtpolyp-ending"
ENDING = (signal.SIGINT, signal.SIGTERM)


def end_in_time() -> None:
    """End the process END_SECONDS after its first SIGINT or SIGTERM, and at once after the next one.

    Orderly ends are the handlers' business, which Python runs on the main thread, and so not while that is in
    a library's call. This is for what they do not reach: the number of each signal goes through a socket to
    a thread. To be called once, on the main thread, by a program that is its process's only one.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ours, theirs), name=WATCHER, daemon=True).start()


def leave(code: int) -> NoReturn:
    """End the process with `code`, when every output is closed.

    A thread may still be in a library's call that never returns. Python's tear-down would take the
    interpreter from under it, and did crash libav while it probed an input: then the process ends without it.
    """
    if sys.stdout is not None:
        sys.stdout.flush()  # while a signal still ends it: later on a stuck terminal would hold the program
    others = [thread for thread in threading.enumerate() if thread.name != WATCHER]
    if any(thread.daemon for thread in others):
        os._exit(code)
    sys.exit(code)


def _watch(signals: socket.socket, kept_open: socket.socket) -> None:
    while not _came(signals):
        pass
    begun = time.monotonic()
    while (left := begun + END_SECONDS - time.monotonic()) > 0:
        signals.settimeout(left)
        try:
            if _came(signals) and time.monotonic() > begun + ONE_PRESS_SECONDS:
                break
        except TimeoutError:
            break
    os._exit(EXIT_CODE)


def _came(signals: socket.socket) -> bool:
    """Wait for a signal; whether it is one that ends the program."""
    return any(number in ENDING for number in signals.recv(64))
