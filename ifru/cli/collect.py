"""`ifru collect`: old versions removed, and a certificate of what is gone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from ifru.cli.options import Json, StoreUrl
from ifru.cli.output import print_facts, print_json, progress
from ifru.errors import IfruError
from ifru.snapshots import Collection, Reader, Retention, Store, duration, open_store, waiting
from ifru.snapshots import collect as collect_versions
from ifru.stores.versioned import VERSIONED, keeps_versions


def _duration(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise IfruError(f"--older-than: {error}") from None


def _path(metavar: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(metavar=metavar, help=text, show_default=False)  # type: ignore[no-any-return]


def collect(
    url: StoreUrl,
    older_than: Annotated[
        timedelta,
        typer.Option(
            metavar="TIME",
            parser=_duration,
            help="Collect versions that were replaced by a newer one so long ago: 30d, 12h, 5m, 0s.",
        ),
    ] = "30d",  # type: ignore[assignment]
    keep: Annotated[int, typer.Option(min=1, help="Retain at least so many of the newest versions.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    certificate: Annotated[
        Path | None, _path("FILE", "Write a signed statement of what is gone. Needs --signing-key.")
    ] = None,
    signing_key: Annotated[
        Path | None, _path("FILE", "Ed25519 key in PEM, as `openssl genpkey -algorithm ed25519` makes it.")
    ] = None,
    since: Annotated[
        int, typer.Option(metavar="VERSION", min=0, help="Certify what versions after this one erased.")
    ] = 0,
    json: Json = False,
) -> None:
    """Remove old versions, and files that belong to none. It may be killed, and run again, beside a running daemon.

    What a retained version needs stays. The daemon then sends the receipts that say what was purged. Requests that
    still wait for a full version are listed.
    """
    if (certificate is None) != (signing_key is None):
        raise IfruError("--certificate and --signing-key belong together: a certificate that nobody signed is none")
    sign = None if signing_key is None else _signing(signing_key)
    store = open_store(url)
    with progress() as report:
        report("collecting", None)
        found = collect_versions(store, Retention(older_than, keep), lambda: datetime.now(UTC), dry_run=dry_run)
    versioned = not dry_run and keeps_versions(store, uuid.uuid4().hex)
    if certificate is not None and sign is not None:
        certificate.write_bytes(sign(store, since))
    reader = Reader(store)
    left = waiting(reader, reader.manifest(found.newest))
    if json:
        said = {"dry_run": dry_run, "waiting": [asdict(each) for each in left], "bucket_keeps_versions": versioned}
        print_json(asdict(found) | said)
        return
    _print(found, len(left), dry_run)
    for name in found.refused:
        typer.echo(
            f"warning: the candidate {name} {'would be' if dry_run else 'was'} refused, since it is older than what is "
            "purged; rejected.json beside it says what to do",
            err=True,
        )
    if versioned:
        typer.echo(f"warning: {VERSIONED}", err=True)


def _signing(file: Path) -> Callable[[Store, int], bytes]:
    """What makes a certificate, once there is something to certify."""
    # Only certificates need the library behind this.
    from ifru.snapshots.certificate import certificate, signing_key, statement

    key = signing_key(file)
    return lambda store, since: certificate(statement(store, since, datetime.now(UTC)), key)


def _print(found: Collection, left: int, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    print_facts(
        {
            "newest version": found.newest,
            "oldest retained": f"{found.oldest:,}, which stands on version {found.base:,}",
            f"versions {would}collected": len(found.versions),
            f"files {would}deleted": len(found.files),
            f"bytes {would}freed": found.bytes,
            "purged": "nothing yet" if found.purged is None else f"what versions up to {found.purged:,} erased",
            "waiting": f"{left:,} requests, for the next full version",
        }
    )
