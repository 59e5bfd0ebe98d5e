"""`ifrud submit`: send deletion requests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from ifru.errors import IfruError
from ifrud.cli.failure import failed
from ifrud.cli.options import AsJson, Config, Events, option
from ifrud.problems import InvalidSettings
from ifrud.requests.submit import submit as send
from ifrud.settings import SubmitSettings, load_settings
from ifrud.streams.outboxes import OutboxError


def submit(
    events: Events = None,
    user: Annotated[list[str] | None, option("Forget this user; may be given several times.", "ID")] = None,
    item: Annotated[list[str] | None, option("Forget this item; may be given several times.", "ID")] = None,
    file: Annotated[Path | None, option("Send the requests in a file, one JSON document a line.", "FILE.jsonl")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send deletion requests to the stream that a daemon reads.

    Requests are checked first, and none is sent where one is wrong. For --user and --item the ids of the requests are
    printed, which their receipts will name.

    Exit codes: 0 sent; 2 nothing was sent, because a setting or a request is wrong; 5 the stream could not be written.
    """
    try:
        settings = load_settings(SubmitSettings, config, {} if events is None else {"events": events})
        made = [*_made("erase_user", user or []), *_made("erase_item", item or [])]
        requests = [*(json.dumps(request).encode() for request in made), *_read(file)]
        if not requests:
            raise InvalidSettings(["nothing to send; say what with --user, --item or --file"])
        sent = send(requests, settings.events, settings.kafka, max_bytes=settings.max_event_bytes)
    except IfruError as error:
        raise failed(error, 5 if isinstance(error, OutboxError) else 2, as_json) from None
    if as_json:
        typer.echo(json.dumps({"sent": sent, "requests": [{"id": each["id"], "type": each["type"]} for each in made]}))
        return
    for request in made:
        typer.echo(f"{request['id']} {request['type']}")
    typer.echo("1 request sent" if sent == 1 else f"{sent} requests sent")


def _made(kind: str, subjects: Iterable[str]) -> list[dict[str, str]]:
    time = datetime.now(UTC).isoformat()
    return [{"id": str(uuid4()), "type": kind, "subject": subject, "time": time} for subject in subjects]


def _read(file: Path | None) -> list[bytes]:
    if file is None:
        return []
    try:
        return [line for line in file.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise InvalidSettings([f"--file: {str(file)!r} cannot be read ({error.strerror})"]) from None
