"""How many connections the admin port keeps open, and for how long.

uvicorn bounds neither: whoever opens connections and sends nothing would use up the daemon's descriptors.
"""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 128
"""Connections that are open at once. One more takes the place of the one that has been silent for longest."""

AT_ONCE = 128
"""Connections that are accepted in one go."""

QUEUE = 4096
"""Connections that the kernel keeps until they are accepted; whose finds no place tries again a second later."""

SILENT_SECONDS = 10.0
"""A connection on which so long nothing came is closed."""


class BoundedServer(uvicorn.Server):
    """Serves an application over HTTP with these bounds."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app, http=bounded_protocol(), backlog=AT_ONCE, log_config=None, access_log=False, lifespan="off"
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(QUEUE)


def bounded_protocol(most: int = MOST, seconds: float = SILENT_SECONDS) -> type[H11Protocol]:
    """uvicorn's HTTP protocol, for one server, with these bounds."""
    # By when each was last heard, the one that has been silent for longest first.
    closing: dict[H11Protocol, asyncio.TimerHandle] = {}

    class Bounded(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._heard()
            if len(closing) > most:
                silent = next(iter(closing))
                closing.pop(silent).cancel()
                silent.transport.abort()

        def data_received(self, data: bytes) -> None:
            self._heard()
            super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _heard(self) -> None:
            self._forget()
            closing[self] = self.loop.call_later(seconds, self.transport.abort)

        def _forget(self) -> None:
            if (timer := closing.pop(self, None)) is not None:
                timer.cancel()

    return Bounded
