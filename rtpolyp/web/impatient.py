"""Impatient: HTTP/1.1 for clients that ask soon."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HEAD_SECONDS", "Impatient"]

HEAD_SECONDS = 5.0  # from the connection to the end of its first request's head


class Impatient(H11Protocol):
    """Closes connections on which nobody has asked anything within HEAD_SECONDS."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._look, transport)

    def _look(self, transport: Any) -> None:
        if self.cycle is None:
            transport.close()
