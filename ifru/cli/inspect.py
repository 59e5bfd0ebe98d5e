"""`ifru inspect`: what a version is and which ones came before it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from ifru.cli.options import Json, StoreUrl, VersionNumber
from ifru.cli.output import console, print_facts, print_json, readable
from ifru.snapshots import Manifest, NoVersion, Reader, Source, open_store


def inspect(
    url: StoreUrl,
    version: VersionNumber = None,
    history: Annotated[int, typer.Option(min=0, help="How many versions to list, back from this one.")] = 10,
    json: Json = False,
) -> None:
    """Show what a version holds, what it still owes, and the versions that led to it. Reads manifests only."""
    reader = Reader(open_store(url))
    manifest = reader.manifest(reader.newest() if version is None else version)
    past = _history(reader, manifest, history)
    if json:
        print_json(_facts(manifest) | {"history": [_line(number, found) for number, found in past.items()]})
        return
    print_facts(_for_people(manifest))
    _print_table("files", ["role", "bytes", "path", "sha256"], _files(manifest))
    _print_table("history", list(_COLUMNS), [_line(number, found) for number, found in past.items()])


def _history(reader: Reader, newest: Manifest, count: int) -> dict[int, Manifest | None]:
    """Versions down from one; None for those that were collected."""
    found: dict[int, Manifest | None] = {}
    for number in range(newest.version, max(newest.version - count, 0), -1):
        try:
            found[number] = newest if number == newest.version else reader.manifest(number)
        except NoVersion:
            found[number] = None
    return found


def _facts(manifest: Manifest) -> dict[str, object]:
    """The manifest without hashes of requests, which say nothing to a reader; their number does."""
    said = {"events": len(manifest.events), "held": len(manifest.held), "positions": manifest.positions}
    return manifest.model_dump(mode="json", exclude={"events", "held"}) | said | {"sha256": manifest.sha256}


_COLUMNS = ("version", "kind", "time", "events", "retained", "holdout", "influence", "total", "bytes")


def _line(number: int, manifest: Manifest | None) -> dict[str, object]:
    if manifest is None:
        return dict.fromkeys(_COLUMNS) | {"version": number, "kind": "collected"}
    values = (
        number,
        manifest.kind,
        manifest.time.isoformat(timespec="seconds"),
        len(manifest.events),
        manifest.retained,
        manifest.holdout,
        manifest.residual.influence,
        manifest.residual.total,
        sum(file.size for file in manifest.files),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _for_people(manifest: Manifest) -> dict[str, object]:
    residual, model = manifest.residual, manifest.model
    origin = "the first one" if manifest.parent is None else f"after version {manifest.parent}"
    chosen = [f"{name} {readable(value)}" for name, value in model if name != "name"]
    return {
        "version": f"{manifest.version} ({manifest.kind}, {origin}, full version {manifest.base})",
        "time": manifest.time.isoformat(timespec="seconds"),
        "format": manifest.schema_version,
        "SHA-256": f"{manifest.sha256}, of the parent {manifest.parent_sha256 or '-'}",
        "written by": f"attempt {manifest.attempt} in epoch {manifest.epoch}",
        "model": ", ".join([model.name, *chosen]),
        "tables": ", ".join(f"{name}: {table.rows:,} rows, {table.dtype}" for name, table in manifest.tables.items())
        or None,
        "retained rows": f"{manifest.retained:,} trained on, {manifest.holdout:,} held out",
        "requests": f"{len(manifest.events)} answered, {len(manifest.held)} held",
        "next in source": "; ".join(_place(name, source) for name, source in manifest.sources.items()) or None,
        "residual influence": f"{readable(residual.influence)} of this batch, {readable(residual.total)} in total",
        "computed by": f"{residual.method} (ended by: {residual.reason})",
        "quality": ", ".join(f"{name} {value:.4g}" for name, value in manifest.quality.items()) or None,
    }


def _place(name: str, source: Source) -> str:
    identity = [
        f"cluster {source.cluster_id}" if source.cluster_id else "",
        f"topic {source.topic_id}" if source.topic_id else "",
    ]
    known = ", ".join(part for part in (source.kind, *identity) if part)
    places = ", ".join(f"{partition}: {position.next}" for partition, position in source.partitions.items())
    return f"{name} {f'({known}) ' if known else ''}{places}"


def _files(manifest: Manifest) -> list[dict[str, object]]:
    return [
        {"role": file.role, "bytes": file.size, "path": file.path, "sha256": f"{file.sha256[:16]}…"}
        for file in manifest.files
    ]


def _print_table(title: str, columns: list[str], lines: list[dict[str, object]]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(*(readable(line[name]) for name in columns))
    console().print(table)
