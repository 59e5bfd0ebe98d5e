"""`ifrud approve` and `ifrud reject`: have requests that are held carried out, or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from ifru.errors import IfruError
from ifru.requests import Identity
from ifrud.cli.failure import failed
from ifrud.cli.options import AsJson, Config, Events, option
from ifrud.problems import InvalidSettings
from ifrud.requests.submit import submit as send
from ifrud.settings import SubmitSettings, load_settings
from ifrud.streams.outboxes import OutboxError

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="`request_id` of receipts that say `held`.")]
Source = Annotated[str, option("The requests' `source`, where their receipts name one.", "SOURCE")]
All = Annotated[bool, typer.Option("--all", help="All that the newest version holds; this reads the store.")]
StoreUrl = Annotated[str | None, option("For --all: s3://BUCKET/PREFIX or file:///DIR.", "URL")]


@dataclass(frozen=True)
class _Kind:
    """A kind of decision. type: of the event. noun, past: in what is printed."""

    type: str
    noun: str
    past: str


_APPROVE, _REJECT = _Kind("approve", "approval", "approved"), _Kind("reject", "rejection", "rejected")


def approve(
    ids: Ids = None,
    events: Events = None,
    source: Source = "",
    every: All = False,
    store: StoreUrl = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have requests carried out that are held, because they would erase more than `brake_share` allows.

    An event is sent to the stream that the daemon reads. The daemon answers it by a receipt of its own, and the request
    by another one than `held`. The approval of a request that is not held any more erases nothing (receipt
    `nothing_to_erase`); that of a request that nobody knows becomes a dead letter.

    Exit codes: 0 sent, also where --all finds none; 2 nothing was sent, because a setting is wrong; 5 the stream could
    not be written, or the store not be read.
    """
    _decide(_APPROVE, ids, events, source, every, store, config, as_json)


def reject(
    ids: Ids = None,
    events: Events = None,
    source: Source = "",
    every: All = False,
    store: StoreUrl = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have requests never carried out that are held, because they would erase more than `brake_share` allows.

    An event is sent to the stream that the daemon reads. The daemon answers it by a receipt of its own, and the request
    by the receipt `failed` and a dead letter. Whoever sends the request again wants it, and it is held again. Rejecting
    a request that is not held any more changes nothing (receipt `nothing_to_erase`); one that nobody knows becomes a
    dead letter.

    Exit codes: 0 sent, also where --all finds none; 2 nothing was sent, because a setting is wrong; 5 the stream could
    not be written, or the store not be read.
    """
    _decide(_REJECT, ids, events, source, every, store, config, as_json)


def _decide(
    kind: _Kind,
    ids: Sequence[str] | None,
    events: str | None,
    source: str,
    every: bool,
    store: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    try:
        flags = {"events": events, "store": store}
        settings = load_settings(SubmitSettings, config, {name: url for name, url in flags.items() if url is not None})
        if bool(ids) == every:
            raise InvalidSettings([f"say what to {kind.type}: the ids of requests, or --all"])
        requests = _held(settings) if every else [(source, each) for each in ids or []]
        made = [_made(kind, request) for request in requests]
        payloads = [json.dumps(each).encode() for each in made]
        send(payloads, settings.events, settings.kafka, max_bytes=settings.max_event_bytes)
    except InvalidSettings as error:
        raise failed(error, 2, as_json) from None
    except IfruError as error:
        raise failed(error, 5 if every or isinstance(error, OutboxError) else 2, as_json) from None
    if as_json:
        typer.echo(json.dumps({kind.past: [{kind.noun: each["id"], **each["request"]} for each in made]}))
        return
    for each in made:
        typer.echo(f"{each['id']} {kind.type}s {each['request']['id']}")
    typer.echo(f"1 {kind.noun} sent" if len(made) == 1 else f"{len(made)} {kind.noun}s sent")


def _made(kind: _Kind, request: Identity) -> dict[str, Any]:
    source, name = request
    named = {"id": name, "source": source}
    return {"id": str(uuid4()), "type": kind.type, "time": datetime.now(UTC).isoformat(), "request": named}


def _held(settings: SubmitSettings) -> Sequence[Identity]:
    if settings.store is None:
        raise InvalidSettings(["store: is not set; --all reads there what is held, say where with --store or --config"])
    # Reading versions takes the libraries of the model, for which nothing else here has to wait.
    from ifru.snapshots import Reader, open_store
    from ifrud.requests.held import identities

    reader = Reader(open_store(settings.store))
    return identities(reader.pending(reader.manifest(reader.newest())))
