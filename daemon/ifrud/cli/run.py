"""`ifrud run`: the daemon."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ifrud.cli.failure import failed
from ifrud.observe.logging import configure_logging
from ifrud.problems import InvalidSettings
from ifrud.settings import Settings, load_settings
from ifrud.stop_signals import StopSignals

_WHERE = "Where"
_HOW = "How"


def _url(text: str) -> Any:
    return typer.Option(metavar="URL", help=text, rich_help_panel=_WHERE, show_default=False)


def _how(text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=_HOW, show_default=False)


def run(
    events: Annotated[str | None, _url("Read requests from kafka://HOST:PORT/TOPIC or file:///DIR/NAME.jsonl.")] = None,
    store: Annotated[str | None, _url("Keep versions in s3://BUCKET/PREFIX, file:///DIR or memory://NAME.")] = None,
    receipts: Annotated[str | None, _url("Send receipts to kafka://… or file:///….jsonl.")] = None,
    dead_letters: Annotated[
        str | None, _url("Send events that are no requests to kafka://… or file:///….jsonl.")
    ] = None,
    config: Annotated[Path | None, _how("Read settings from a YAML file.", metavar="FILE")] = None,
    drain: Annotated[bool, _how("Exit with 0 once all that is there has been published.", "--drain")] = False,
    admin_host: Annotated[str | None, _how("Listen on this address for probes and metrics.", metavar="HOST")] = None,
    admin_port: Annotated[
        int | None, _how("Listen on this port; 0: a free one. Default: 9377.", metavar="PORT")
    ] = None,
    admin_file: Annotated[Path | None, _how("Write the admin port's URL to a file.", metavar="FILE")] = None,
    log_level: Annotated[str | None, _how("debug, info, warning or error. Default: info.", metavar="LEVEL")] = None,
    accept_lost: Annotated[
        str | None, _how("Go on without the events that an error said are lost.", metavar="WORD")
    ] = None,
    settings: Annotated[
        list[str] | None, _how("Any setting, as in --set batch.max_requests=500.", "--set", metavar="NAME=VALUE")
    ] = None,
    as_json: Annotated[bool, _how("Say which settings are wrong as one JSON document.", "--json")] = False,
) -> None:
    """Read deletion requests and publish versions of the model that have forgotten them.

    Settings come from flags, then from the environment (IFRUD_EVENTS, IFRUD_BATCH__MAX_REQUESTS, …), then from the
    file, then from defaults. SIGTERM and SIGINT finish the batch in hand; during the start, and
    the second time, they end it at once.

    Exit codes: 0 drained or told to stop; 1 a bug; 2 invalid settings; 3 another writer published first;
    4 it is not known whether the last version was published; 5 the source, the store or an outbox failed for good;
    143 or 130 ended at once by SIGTERM or SIGINT.
    """
    flags: dict[str, Any] = {}
    named: dict[str, object] = {"events": events, "store": store, "receipts": receipts, "dead_letters": dead_letters}
    named["accept_lost"] = accept_lost
    named |= {"admin.host": admin_host, "admin.port": admin_port, "admin.file": admin_file, "log.level": log_level}
    try:
        for name, value in (*_assignments(settings or []), *named.items()):
            if value is not None:
                _put(flags, name, value)
        loaded = load_settings(Settings, config, flags)
    except InvalidSettings as error:
        raise failed(error, 2, as_json) from None
    configure_logging(loaded.log.level, sys.stderr)
    stop = StopSignals()
    # The model's libraries take seconds to import; wrong settings and --help need not wait for them.
    from ifrud.process import run_daemon

    raise typer.Exit(run_daemon(loaded, drain, stop))


def _assignments(settings: list[str]) -> list[tuple[str, Any]]:
    pairs = []
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidSettings([f"--set: {text!r} is not allowed; allowed is NAME=VALUE"])
        pairs.append((name, _value(value)))
    return pairs


def _value(text: str) -> Any:
    """JSON where it can only be that, as in the environment; the text itself otherwise."""
    if text == "null" or text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _put(flags: dict[str, Any], name: str, value: object) -> None:
    *groups, field = name.split(".")
    for group in groups:
        flags = flags.setdefault(group, {})
        if not isinstance(flags, dict):
            raise InvalidSettings([f"--set: {name!r} and {group!r} cannot both be set"])
    flags[field] = value
