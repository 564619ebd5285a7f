"""Answers without an end, for as long as a viewer takes what it is sent."""

import asyncio
from collections.abc import AsyncIterator

from rtpolyp.web.guard import Receive, Scope, Send

__all__ = ["Endless"]

STUCK_SECONDS = 10.0  # that a viewer may leave a piece unread before it is cut off


class Endless:
    """An ASGI answer that sends pieces as they come; whoever does not read holds up nobody and is cut off."""

    def __init__(self, pieces: AsyncIterator[bytes], content_type: str) -> None:
        self._pieces, self._type = pieces, content_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the pieces end, or the viewer goes or gets stuck."""
        gone = asyncio.ensure_future(_gone(receive))
        headers = [(b"content-type", self._type.encode())]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for piece in self._pieces:
                message = {"type": "http.response.body", "body": piece, "more_body": True}
                await asyncio.wait_for(send(message), STUCK_SECONDS)
                if gone.done():
                    return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            return
        finally:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
