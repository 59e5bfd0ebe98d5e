"""The admin port: probes, metrics and status over HTTP, on a thread of its own."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from secrets import compare_digest
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ifrud.observe.connections import BoundedServer
from ifrud.observe.status import Board, Status
from ifrud.problems import InvalidSettings

_STOP_SECONDS = 30.0


def admin_app(board: Board, registry: CollectorRegistry, stalled_after: float, token: str | None = None) -> FastAPI:
    """The HTTP application. The engine thread counts as dead after `stalled_after` seconds without a heartbeat.

    token: whoever asks for metrics or status must show it; probes are answered without.
    While the daemon starts it is alive but not ready: loading a model has no heartbeat.
    """
    app = FastAPI(title="ifrud", openapi_url=None)

    async def authorized(authorization: Annotated[str, Header()] = "") -> None:
        if token is not None and not compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "a bearer token is asked for: that of admin.token", {"WWW-Authenticate": "Bearer"})

    @app.get("/healthz")
    async def healthz() -> Response:
        silence = board.silence()
        if board.status.state != "starting" and silence > stalled_after:
            return PlainTextResponse(f"the engine thread gave no sign of life for {silence:.0f} s\n", 503)
        return PlainTextResponse("alive\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        status = board.status
        away = [
            f"; {peer} away since {since.isoformat() if since else 'the start'}" for peer, since in status.away.items()
        ]
        return PlainTextResponse(f"{status.state}{''.join(away)}\n", 200 if board.ready else 503)

    @app.get("/metrics", dependencies=[Depends(authorized)])
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status", dependencies=[Depends(authorized)])
    async def status() -> Status:
        return board.status

    return app


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises InvalidSettings where the address cannot be used."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        reason = f"cannot be listened on ({error.strerror}); allowed is a free port of this host, or port 0"
        raise InvalidSettings([f"admin.host, admin.port: {host}:{port} {reason}"]) from None
    return listener


class AdminServer:
    """Serves an application on a socket until it is stopped."""

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._listener = listener
        # uvicorn handles signals only on the main thread, which is the engine's: here it leaves them alone.
        self._server = BoundedServer(app)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="admin", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raises RuntimeError where the server's thread has ended without being stopped."""
        if not self._thread.is_alive():
            raise RuntimeError("the admin server's thread has died") from self._error

    def stop(self) -> None:
        """Close the port; returns when the thread has ended."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(_STOP_SECONDS)
        self._listener.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except BaseException as error:  # noqa: BLE001 - check() raises it on the engine's thread
            self._error = error


def write_address(path: Path, url: str) -> None:
    """Write the admin port's URL to a file, atomically."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(f"{url}\n", encoding="utf-8")
    partial.replace(path)
