"""`ifru audit`: everything under a prefix, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.table import Table

from ifru.cli.options import HashKeyFile, Json, StoreUrl, outside_key
from ifru.cli.output import console, print_facts, print_json, progress
from ifru.snapshots import Audit, Finding, open_store
from ifru.snapshots import audit as audit_store

SHOWN = 20
"""So many leftovers are shown; all of them with --json."""


def audit(url: StoreUrl, hash_key_file: HashKeyFile = None, json: Json = False) -> None:
    """Check every byte of every version: files, parents, ledgers, tombstones, numbers. Changes nothing.

    Ends with 1 where something is not as it was written, and says what.
    """
    with progress() as report:
        found = audit_store(open_store(url), report, outside_key(hash_key_file))
    if json:
        print_json({"sound": found.sound} | asdict(found))
    else:
        _print(found)
    if not found.sound:
        raise typer.Exit(1)


def _print(found: Audit) -> None:
    collected = f", of which {found.collected:,} were collected" if found.collected else ""
    print_facts(
        {
            "versions": f"{found.newest:,}{collected}",
            "files": f"{found.files:,} with {found.bytes:,} bytes",
            "receipts": found.receipts,
            "leftovers": f"{len(found.leftovers):,} files that no version names",
        }
    )
    _print_findings("problems", found.problems)
    _print_findings("notes", found.notes)
    rest = len(found.leftovers) - SHOWN
    more = [Finding("…", f"and {rest:,} more; --json names all")] if rest > 0 else []
    _print_findings("leftovers", [*(Finding(path, "") for path in found.leftovers[:SHOWN]), *more])
    console().print(verdict(found), soft_wrap=True, highlight=False)


def verdict(found: Audit) -> str:
    """What an audit comes to, in one sentence."""
    if found.sound:
        return f"Sound: all {found.files:,} files of {found.newest:,} versions are what was written, in one history."
    damaged = len({problem.path for problem in found.problems})
    files, them = ("1 file is", "it") if damaged == 1 else (f"{damaged:,} files are", "them")
    return f"NOT SOUND: {files} not what was written; restore {them} from a copy."


def _print_findings(title: str, findings: Sequence[Finding]) -> None:
    if not findings:
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row(finding.path, finding.what)
    console().print(table)
