"""Hub: the newest picture, for every viewer, at each one's own pace."""

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Hub", "Picture"]

JPEG_QUALITY = 80
RATE_SECONDS = 2.0  # over which frames a second are counted


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture as the pipeline gave it."""

    number: int  # 1, 2, 3 …
    planes: NDArray[np.uint8]  # (height * 3 / 2, width): Y, U, V
    state: dict[str, Any]  # what is to be said of it
    arrived: float  # time.monotonic(), the same clock as the pipeline's

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.planes.shape[1], self.planes.shape[0] * 2 // 3

    def jpeg(self) -> bytes:
        """The picture as a JPEG."""
        bgr = cv2.cvtColor(self.planes, cv2.COLOR_YUV2BGR_I420)
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


class Hub:
    """Holds the newest picture; those who are late leave out what was between.

    `put` is for one thread, everything else for the event loop.
    """

    def __init__(self, send: Callable[[dict[str, Any] | bool], None]) -> None:
        """`send` passes a change of settings on to the pipeline, and whether anybody watches."""
        self.newest: Picture | None = None
        self.change = self._send = send
        self._watching = 0
        self.ended = False
        self.worker = ThreadPoolExecutor(1, "rtpolyp-jpeg")  # JPEGs wait for each other, not for the video
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: asyncio.Future[None] | None = None
        self._announced = threading.Event()
        self._arrivals: deque[float] = deque(maxlen=1000)
        self._jpeg: tuple[int, asyncio.Future[bytes]] | None = None

    def start(self) -> None:
        """Begin to announce pictures, on the running event loop."""
        self._loop = asyncio.get_running_loop()

    def put(self, planes: NDArray[np.uint8], message: bytes) -> None:
        """Take a picture, whose planes are the hub's from now on."""
        now = time.monotonic()
        number = 1 if self.newest is None else self.newest.number + 1
        self.newest = Picture(number, planes, json.loads(message), now)
        self._arrivals.append(now)
        self._wake()

    def end(self) -> None:
        """No more pictures come."""
        self.ended = True
        self._wake()

    async def after(self, number: int) -> Picture | None:
        """A picture newer than that `number`; None once no more comes."""
        while not self.ended:
            if self.newest is not None and self.newest.number > number:
                return self.newest
            if self._next is None or self._next.done():
                self._next = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._next)
        return None

    async def jpeg(self, picture: Picture) -> bytes:
        """The picture as a JPEG, made once for all who ask."""
        if self._jpeg is None or self._jpeg[0] != picture.number:
            loop = asyncio.get_running_loop()
            self._jpeg = picture.number, loop.run_in_executor(self.worker, picture.jpeg)
        return await asyncio.shield(self._jpeg[1])

    def watch(self, by: int) -> None:
        """So many more watch, or with a negative number fewer: the pipeline learns whether anybody does."""
        before, self._watching = self._watching, self._watching + by
        if bool(before) != bool(self._watching):
            self._send(bool(self._watching))

    def rate(self) -> float:
        """Pictures a second, lately."""
        since = time.monotonic() - RATE_SECONDS
        return sum(one > since for one in list(self._arrivals)) / RATE_SECONDS

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None and not self._announced.is_set():  # one call waits at most, however busy the loop
            self._announced.set()
            try:
                loop.call_soon_threadsafe(self._tell)
            except RuntimeError:  # the loop is closed: the server ends
                return

    def _tell(self) -> None:
        self._announced.clear()
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
