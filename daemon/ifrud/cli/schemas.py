"""`ifrud schemas`: what the daemon reads and sends, for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ifrud.cli.failure import failed
from ifrud.cli.options import AsJson, option
from ifrud.problems import InvalidSettings


def schemas(
    out: Annotated[Path | None, option("Write one file for each document into this folder.", "DIR")] = None,
    as_json: AsJson = False,
) -> None:
    """Print JSON Schema of requests, receipts and dead letters, and AsyncAPI of the streams that carry them.

    Without --out all are printed as one JSON document, by file name.

    Exit codes: 0 printed or written; 2 the folder cannot be written.
    """
    # The models of receipts take the model's libraries, for which --help need not wait.
    from ifrud.schemas import documents, written

    found = documents()
    if out is None:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, document in found.items():
            (out / name).write_text(written(document), encoding="utf-8")
    except OSError as error:
        wrong = InvalidSettings([f"--out: {str(out)!r} cannot be written ({error.strerror})"])
        raise failed(wrong, 2, as_json) from None
    files = [str(out / name) for name in found]
    typer.echo(json.dumps({"written": files}) if as_json else "\n".join(files))
