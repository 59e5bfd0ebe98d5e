"""`ifrud dead-letters`: look at events that were not carried out, and send them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ifru.errors import IfruError
from ifrud.cli.failure import failed
from ifrud.cli.options import AsJson, Config, Events, option
from ifrud.problems import InvalidSettings
from ifrud.requests.replay import Listing, Selection, listed, original
from ifrud.settings import KafkaSettings, LetterSettings, load_settings
from ifrud.streams.contents import contents
from ifrud.streams.endpoints import FileEndpoint, parse_endpoint
from ifrud.streams.outboxes import OutboxError, Record, open_outbox
from ifrud.streams.outboxes.jsonl import is_line
from ifrud.streams.sources import SourceError

app = typer.Typer(
    help="Look at events that were not carried out, and send them again.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


Letters = Annotated[str | None, option("Dead letters are in kafka://HOST:PORT/TOPIC or file:///DIR/NAME.jsonl.", "URL")]
Fields = Annotated[list[str] | None, option("Only letters about this field; may be given several times.", "FIELD")]
Positions = Annotated[
    list[str] | None,
    option("Only the letter at this position; may be given several times.", "SOURCE/PARTITION/OFFSET"),
]


@app.command("list")
def list_letters(
    dead_letters: Letters = None,
    field: Fields = None,
    position: Positions = None,
    payload: Annotated[
        bool, typer.Option("--payload", help="Show what the events held, which may be personal data.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the dead letters of a stream: where each event lies, which field was wrong and why.

    With --json and --payload the output is a file that `ifrud dead-letters replay --file` takes.

    Exit codes: 0 shown, also where there are none; 2 a setting is wrong; 5 the stream could not be read.
    """
    try:
        settings = _settings(config, {"dead_letters": dead_letters})
        found = _read(settings, Selection(field or (), position or ()))
    except IfruError as error:
        raise _failed(error, as_json) from None
    shown = found if payload else found.digests()
    if as_json:
        typer.echo(shown.model_dump_json(indent=1))
        return
    Console().print(_table(shown, payload))
    counts = ", ".join(f"{name}: {count}" for name, count in found.fields.items()) or "none"
    typer.echo(f"{_counted(len(found.letters), 'dead letter')}, by field: {counts}")
    if found.no_letters:
        typer.echo(f"{_counted(found.no_letters, 'record')} in the stream, no dead letters")


@app.command()
def replay(
    dead_letters: Letters = None,
    events: Events = None,
    field: Fields = None,
    position: Positions = None,
    every: Annotated[bool, typer.Option("--all", help="Send all of them.")] = False,
    file: Annotated[
        Path | None, option("Take letters from this file, as `list --json --payload` printed it.", "FILE.json")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send the events of dead letters again, with their keys and headers, to the stream that a daemon reads.

    Choose with --field or --position, or send --all. To mend events first, write `list --json --payload` to a file,
    edit the payloads in it, and give it with --file. A request that was answered in the meantime gets its first receipt
    again; an event that is still no request becomes another dead letter.

    Exit codes: 0 sent; 1 sent, but for some that were not kept whole, which are listed; 2 nothing was sent, because a
    setting is wrong; 5 a stream could not be read or written.
    """
    try:
        settings = _settings(config, {"dead_letters": dead_letters, "events": events})
        selection = Selection(field or (), position or ())
        if not (field or position or every or file):
            raise InvalidSettings(["nothing is chosen; say what to send with --field, --position, --file or --all"])
        if settings.events is None:
            raise InvalidSettings(["events: is not set; say where to send with --events or --config"])
        found = _read(settings, selection) if file is None else _edited(file, selection)
        pairs = [(str(letter.position), original(letter)) for letter in found.letters]
        _send(settings.events, settings.kafka, [record for _, record in pairs if record is not None])
    except IfruError as error:
        raise _failed(error, as_json) from None
    sent = [position for position, record in pairs if record is not None]
    left = [position for position, record in pairs if record is None]
    if as_json:
        typer.echo(json.dumps({"sent": sent, "not_kept_whole": left}))
    else:
        for place in left:
            typer.echo(f"{place} was not kept whole; its sender must send it again")
        typer.echo(f"{_counted(len(sent), 'event')} sent")
    raise typer.Exit(1 if left else 0)


def _settings(config: Path | None, flags: Mapping[str, str | None]) -> LetterSettings:
    return load_settings(LetterSettings, config, {name: url for name, url in flags.items() if url is not None})


def _read(settings: LetterSettings, selection: Selection) -> Listing:
    if settings.dead_letters is None:
        raise InvalidSettings(["dead_letters: is not set; say where they are with --dead-letters or --config"])
    return listed(contents(settings.dead_letters, settings.kafka), selection)


def _edited(file: Path, selection: Selection) -> Listing:
    try:
        found = Listing.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InvalidSettings([f"--file: {str(file)!r} cannot be read ({error.strerror})"]) from None
    except ValidationError as error:
        wrong = ".".join(map(str, error.errors()[0]["loc"])) or "it"
        raise InvalidSettings([f"--file: {str(file)!r} is not what list --json --payload prints: {wrong}"]) from None
    return Listing(letters=[letter for letter in found.letters if letter in selection])


def _send(url: str, kafka: KafkaSettings, records: Sequence[Record]) -> None:
    if isinstance(parse_endpoint(url), FileEndpoint) and not all(map(is_line, records)):
        raise InvalidSettings(
            [f"events: {url} is a file; events with headers, of several lines or without a payload need a Kafka topic"]
        )
    with closing(open_outbox(url, kafka)) as outbox:
        outbox.send(records)


def _failed(error: IfruError, as_json: bool) -> typer.Exit:
    return failed(error, 5 if isinstance(error, SourceError | OutboxError) else 2, as_json)


def _table(found: Listing, payload: bool) -> Table:
    names = ("position", "time", "reason", "bytes", *(("payload",) if payload else ()))
    table = Table(*names, box=None, header_style="bold")
    for letter in found.letters:
        size = "" if letter.payload_size is None else str(letter.payload_size)
        held = (letter.payload or letter.payload_base64 or "",) if payload else ()
        cells = (str(letter.position), f"{letter.time:%Y-%m-%d %H:%M:%S}", letter.reason, size, *held)
        table.add_row(*(escape(cell) for cell in cells))
    return table


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
