"""The admin port: probes, metrics and status over HTTP, on a thread of its own."""

from __future__ import annotations

import os
import socket
import threading
from base64 import b64decode
from pathlib import Path
from secrets import compare_digest
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ifrud.observe.connections import BoundedServer
from ifrud.observe.page.figures import Figures
from ifrud.observe.page.headers import HEADERS
from ifrud.observe.page.older import Older
from ifrud.observe.page.render import render
from ifrud.observe.status import Board, Status
from ifrud.problems import InvalidSettings

_STOP_SECONDS = 30.0
_REFRESH_SECONDS = 15
_ASKED = 'Basic realm="ifrud", charset="UTF-8", Bearer'


def admin_app(
    board: Board,
    registry: CollectorRegistry,
    stalled_after: float,
    token: str | None = None,
    older: Older | None = None,
    runbooks: str | None = None,
) -> FastAPI:
    """The HTTP application. The engine thread counts as dead after `stalled_after` seconds without a heartbeat.

    token: whoever asks for the page, metrics or status must show it, as a bearer token or as the password of any user;
    probes are answered without. older: versions that the page shows besides the board's. runbooks: URL of their folder.
    While the daemon starts it is alive but not ready: loading a model has no heartbeat.
    """
    app = FastAPI(title="ifrud", openapi_url=None)

    async def authorized(authorization: Annotated[str, Header()] = "") -> None:
        if token is not None and not compare_digest(_shown(authorization), token.encode()):
            reason = "the admin.token is asked for, as a bearer token or as a password"
            raise HTTPException(401, reason, {"WWW-Authenticate": _ASKED, "Cache-Control": "no-store"})

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
        state = "not ready" if status.state == "ready" and not board.ready else status.state
        return PlainTextResponse(f"{state}{''.join(away)}\n", 200 if board.ready else 503)

    @app.get("/metrics", dependencies=[Depends(authorized)])
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status", dependencies=[Depends(authorized)])
    async def status() -> Status:
        return board.status

    @app.get("/", dependencies=[Depends(authorized)])
    async def page(refresh: Annotated[int, Query(ge=0, le=3600)] = _REFRESH_SECONDS) -> Response:
        newest = board.status.version
        points = () if older is None or newest is None else older.read(newest)
        figures = Figures.of(board, registry, stalled_after, points)
        return HTMLResponse(render(figures, refresh, runbooks), headers=HEADERS)

    return app


def _shown(authorization: str) -> bytes:
    """The token that a request shows."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            return b64decode(given, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return given.encode() if scheme == "Bearer" else b""


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
