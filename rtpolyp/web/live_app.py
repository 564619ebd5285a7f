"""The live page: its files, the picture in two ways, what is said of it, and the controls."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, get_args

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rtpolyp.settings import Style
from rtpolyp.web.board import Board
from rtpolyp.web.hub import Hub
from rtpolyp.web.pages import page_routes, said
from rtpolyp.web.streaming import Endless
from rtpolyp.web.viewers import BadOffer, TooMany, Viewers

__all__ = ["live_app"]

MOST_STREAMS = 16  # viewers by MJPEG, and as many listeners for what is said
MOST_BODY = 65_536  # bytes of a request; an offer has 5,000
BODY_SECONDS = 10.0
STATE_SECONDS = 0.2
CHANGES_A_SECOND = 20
LOWEST, HIGHEST = 0.01, 0.99  # of the threshold, as the keys have it


def live_app(hub: Hub, viewers: Viewers, board: Board, info: Mapping[str, Any]) -> Starlette:
    """The application; `info` is what the page says of source, engine and versions."""
    page = _Page(hub, viewers, board, info)
    return Starlette(
        routes=[
            *page_routes("rtpolyp.web", "live"),
            Route("/offer", page.offer, methods=["POST"]),
            Route("/settings", page.settings, methods=["POST"]),
            Route("/picture.mjpeg", page.mjpeg),
            Route("/events", page.events),
            Route("/sightings", page.sightings),
            Route("/sightings/{track:int}.jpg", page.sighting),
        ],
    )


class _Page:
    def __init__(self, hub: Hub, viewers: Viewers, board: Board, info: Mapping[str, Any]) -> None:
        self._hub, self._viewers, self._board, self._info = hub, viewers, board, info
        self._streams = 0
        self._allowance, self._since = float(CHANGES_A_SECOND), time.monotonic()

    async def offer(self, request: Request) -> Response:
        value = await _body(request)
        sdp = value.get("sdp") if value is not None else None
        if not isinstance(sdp, str):
            return said(400, 'Send an offer: {"sdp": …}.')
        try:
            return JSONResponse({"type": "answer", "sdp": await self._viewers.answer(sdp)})
        except TooMany:
            return said(503, "Too many watch already.")
        except BadOffer:
            return said(400, "This is no offer to receive H.264 video.")

    async def settings(self, request: Request) -> Response:
        value = await _body(request)
        change = _checked(value) if value is not None else None
        if change is None:
            return said(
                400, f"Send overlay, style ({', '.join(get_args(Style))}) or threshold (0.01 to 0.99)."
            )
        now = time.monotonic()
        refill = (now - self._since) * CHANGES_A_SECOND
        self._allowance, self._since = min(float(CHANGES_A_SECOND), self._allowance + refill), now
        if self._allowance < 1:
            return said(429, "Too many changes; wait a moment.")
        self._allowance -= 1
        self._hub.change(change)
        return Response(status_code=204)

    async def mjpeg(self, request: Request) -> Any:
        return self._stream(self._jpegs(), "multipart/x-mixed-replace; boundary=frame")

    async def events(self, request: Request) -> Any:
        return self._stream(self._said(), "text/event-stream")

    async def sightings(self, request: Request) -> Response:
        return JSONResponse(self._board.described())

    async def sighting(self, request: Request) -> Response:
        jpeg = self._board.picture(request.path_params["track"])
        if jpeg is None:
            return said(404, "There is no such sighting.")
        return Response(jpeg, media_type="image/jpeg")

    def _stream(self, pieces: AsyncIterator[bytes], content_type: str) -> Any:
        if self._streams >= 2 * MOST_STREAMS:
            return said(503, "Too many watch already.")
        self._streams += 1
        self._hub.watch(1)
        return Endless(self._counted(pieces), content_type)

    async def _counted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for piece in pieces:
                yield piece
        finally:
            self._streams -= 1
            self._hub.watch(-1)

    async def _jpegs(self) -> AsyncIterator[bytes]:
        number = 0
        yield b"--frame\r\n"
        while (picture := await self._hub.after(number)) is not None:
            number = picture.number
            jpeg = await self._hub.jpeg(picture)
            head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
            # The next part's boundary follows at once: browsers show a picture when they have seen it.
            yield head + jpeg + b"\r\n--frame\r\n"

    async def _said(self) -> AsyncIterator[bytes]:
        yield _event("info", self._info)
        sightings: Any = None
        while not self._hub.ended:
            picture = self._hub.newest
            if picture is not None:
                late = time.monotonic() - picture.arrived
                delay = round(1000 * (picture.arrived - picture.state["captured"]))
                rate = {"rate": self._hub.rate(), "delay_ms": delay, "silent_seconds": round(late, 1)}
                yield _event("state", {**picture.state, **rate, "viewers": len(self._viewers)})
            if (described := self._board.described()) != sightings:
                sightings = described
                yield _event("sightings", sightings)
            await asyncio.sleep(STATE_SECONDS)
        yield _event("end", {})


async def _body(request: Request) -> dict[str, Any] | None:
    """The request's JSON object; None where it is none, too long, or does not come in time."""
    try:
        body = await asyncio.wait_for(_few_bytes(request), BODY_SECONDS)
        value = json.loads(body)
    except (TimeoutError, ValueError, RecursionError, ClientDisconnect):
        return None
    return value if isinstance(value, dict) else None


async def _few_bytes(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            raise ValueError("too long")
    return body


def _checked(value: dict[str, Any]) -> dict[str, Any] | None:
    """A change of settings, whole; None where any of it is not one."""
    known: dict[str, Callable[[Any], bool]] = {
        "overlay": lambda one: isinstance(one, bool),
        "style": lambda one: one in get_args(Style),
        "threshold": lambda one: type(one) in (int, float) and LOWEST <= one <= HIGHEST,
    }
    if not value or any(name not in known or not known[name](one) for name, one in value.items()):
        return None
    return value


def _event(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()
