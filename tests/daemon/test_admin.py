"""The admin port, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import math
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner
from uvicorn.server import ServerState

from ifrud.cli import app
from ifrud.cli.status import TOKEN
from ifrud.observe.admin import AdminServer, admin_app, bind, write_address
from ifrud.observe.connections import MOST, bounded_protocol
from ifrud.observe.contact import Peer
from ifrud.observe.metrics import Metrics
from ifrud.observe.report import Reporter
from ifrud.observe.status import Board, Status
from ifrud.problems import InvalidSettings

STALLED_AFTER = 60.0
PATIENCE = 30.0
STARTED = datetime(2026, 11, 21, tzinfo=UTC)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def board(hand: Hand) -> Board:
    return Board(Status(started=STARTED, store="memory://x", source="events.jsonl"), PATIENCE, hand, lambda: STARTED)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def server(board: Board, metrics: Metrics) -> Iterator[AdminServer]:
    server = AdminServer(admin_app(board, metrics.registry, STALLED_AFTER), bind("127.0.0.1", 0))
    server.start()
    yield server
    server.stop()


def test_readiness_follows_the_state(server: AdminServer, board: Board) -> None:
    answers = []
    for state in ("starting", "ready", "stopping"):
        board.update(state=state)
        answers.append(httpx.get(f"{server.url}/readyz").status_code)
    assert answers == [503, 200, 503]


@pytest.mark.parametrize("peer", ["source", "store", "receipts", "dead_letters"])
def test_who_cannot_read_or_answer_is_not_ready_and_says_why_and_since_when(
    server: AdminServer, board: Board, metrics: Metrics, hand: Hand, peer: Peer
) -> None:
    Reporter(board, metrics, lambda: STARTED)
    board.update(state="ready")
    contact = board.contacts[peer]
    contact.answered()
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    hand.now = PATIENCE + 1
    contact.silent(0.0)
    answer = httpx.get(f"{server.url}/readyz")
    assert (answer.status_code, answer.text) == (503, f"not ready; {peer} away since 2026-11-21T00:00:00+00:00\n")
    assert httpx.get(f"{server.url}/status").json()["away"] == {peer: "2026-11-21T00:00:00Z"}
    shown = httpx.get(f"{server.url}/metrics").text
    name = f"{peer}_connected" if peer in ("source", "store") else f'outbox_connected{{outbox="{peer}"}}'
    assert {f"ifrud_{name} 0.0", "ifrud_ready 0.0"} <= set(shown.splitlines())
    contact.answered()
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert {f"ifrud_{name} 1.0", "ifrud_ready 1.0"} <= set(httpx.get(f"{server.url}/metrics").text.splitlines())


def test_what_is_not_known_yet_is_no_number(server: AdminServer, board: Board, metrics: Metrics) -> None:
    Reporter(board, metrics, lambda: STARTED)
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    gauges = {sample.name: sample.value for family in families if family.type == "gauge" for sample in family.samples}
    known = {name for name, value in gauges.items() if not math.isnan(value) and not name.endswith("_created")}
    assert known == {"ifrud_ready"}
    assert gauges["ifrud_ready"] == 0


def test_a_silent_engine_thread_is_found_dead_from_outside(server: AdminServer, board: Board, hand: Hand) -> None:
    board.update(state="ready")
    hand.now = STALLED_AFTER
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    hand.now += 1
    answer = httpx.get(f"{server.url}/healthz")
    assert (answer.status_code, "61 s" in answer.text) == (503, True)
    board.beat()
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_loading_a_large_model_is_no_death(server: AdminServer, hand: Hand) -> None:
    hand.now = 100 * STALLED_AFTER
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_metrics_are_those_of_the_registry_and_all_have_the_prefix(server: AdminServer, metrics: Metrics) -> None:
    metrics.requests.labels("published").inc(3)
    families = list(text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text))
    assert all(family.name.startswith("ifrud_") and family.documentation for family in families)
    values = {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}
    assert values["ifrud_requests_total", "published"] == 3
    assert values["ifrud_requests_total", "nothing_to_erase"] == 0, "a state that did not occur yet is 0, not absent"


def test_status_is_json_that_the_command_reads_back(server: AdminServer, board: Board) -> None:
    board.update(version=7, positions={0: 12}, state="ready")
    answer = httpx.get(f"{server.url}/status").json()
    assert (answer["version"], answer["positions"], answer["state"]) == (7, {"0": 12}, "ready")
    assert Status.model_validate_json(json.dumps(answer)) == board.status


def answers(url: str, token: str | None = None) -> int:
    return httpx.get(url, headers={} if token is None else {"Authorization": f"Bearer {token}"}).status_code


def test_who_sets_a_token_shows_metrics_and_status_to_nobody_else(board: Board, metrics: Metrics) -> None:
    guarded = AdminServer(admin_app(board, metrics.registry, STALLED_AFTER, "s3cret"), bind("127.0.0.1", 0))
    guarded.start()
    for page, asks in (("healthz", False), ("readyz", False), ("metrics", True), ("status", True)):
        url, open_ = f"{guarded.url}/{page}", 503 if page == "readyz" else 200
        assert [answers(url, token) for token in (None, "x", "s3cre", "s3crets", "s3cret")] == (
            [401] * 4 if asks else [open_] * 4
        ) + [open_]
    asked = ["status", "--url", guarded.url]
    assert CliRunner().invoke(app, [*asked, "--json"], env={TOKEN: "s3cret"}).exit_code == 1
    refused = CliRunner().invoke(app, asked, env={TOKEN: "other"})
    assert (refused.exit_code, f"answered 401 Unauthorized. Is {TOKEN} its admin.token?" in refused.output) == (5, True)
    guarded.stop()


def connected(url: str) -> socket.socket:
    return socket.create_connection((url.rpartition("/")[2].split(":")[0], int(url.rpartition(":")[2])))


def closed(each: socket.socket) -> bool:
    each.setblocking(False)
    try:
        return each.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_one_connection_too_many_takes_the_place_of_the_one_that_was_silent_for_longest(server: AdminServer) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(server.url)) for _ in range(MOST)]
        for each in silent[: MOST // 2]:
            each.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"alive\n" in iter(each.makefile("rb").readline, None)
        more = [stack.enter_context(connected(server.url)) for _ in range(3 * MOST)]
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert all(closed(each) for each in silent)
        assert [closed(each) for each in more] == [True] * (2 * MOST + 1) + [False] * (MOST - 1)


def test_a_connection_on_which_nothing_comes_is_closed(board: Board, metrics: Metrics) -> None:
    async def answered() -> bytes:
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(admin_app(board, metrics.registry, STALLED_AFTER), log_config=None, lifespan="off")
        kind = bounded_protocol(seconds=0.01)
        listening = await loop.create_server(lambda: kind(config, ServerState(), {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(b"GET /healthz HTTP/1.1\r\nHost:")
        try:
            return await reader.read()
        finally:
            writer.close()
            listening.close()

    assert asyncio.run(answered()) == b""


def test_a_dead_server_thread_is_noticed(server: AdminServer) -> None:
    httpx.get(f"{server.url}/healthz")
    server.check()
    server.stop()
    with pytest.raises(RuntimeError, match="admin server"):
        server.check()


def test_a_port_in_use_is_a_setting_that_is_wrong() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InvalidSettings, match=rf"admin.port: 127.0.0.1:{port} cannot be listened on"):
            bind("127.0.0.1", port)


def test_the_address_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "admin.url"
    write_address(path, "http://127.0.0.1:1")
    assert path.read_text() == "http://127.0.0.1:1\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["admin.url"]
