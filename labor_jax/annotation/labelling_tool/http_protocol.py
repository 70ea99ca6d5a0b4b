"""HTTP with limits, so that a client that sends no end of a request doesn't hold the server up."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""How long a client may take to send a request's head."""


class ImpatientProtocol(H11Protocol):
    """uvicorn's protocol, which also ends connections that don't send a whole head in time.

    uvicorn limits its size, to 64 KiB.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expects the first head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Reads what a client sent."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends the watch."""
        self._expect(False)
        super().connection_lost(error)

    def _watch(self) -> None:
        # Between two requests nothing is unread, and uvicorn's keep-alive limits the wait.
        unread, _ = self.conn.trailing_data
        first = self.conn.our_state is h11.IDLE and self.cycle is None
        self._expect(self.conn.their_state is h11.IDLE and (bool(unread) or first))

    def _expect(self, head: bool) -> None:
        """Starts the time for a head, unless it runs; or stops it."""
        if head and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        elif not head and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
