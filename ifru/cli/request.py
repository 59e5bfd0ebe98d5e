"""`ifru request`: what became of a request."""

from __future__ import annotations

from typing import Annotated

import typer

from ifru.cli.options import Json, StoreUrl
from ifru.cli.output import print_facts, print_json, readable
from ifru.snapshots import Answer, Reader, life, newest_purge, open_store, waits_for


def request(
    url: StoreUrl,
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the request.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="S", help="Its source, where several have sent a request with this id.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what became of a request: each state with its version and time, and what it still waits for.

    Reads the ledgers of all versions. An id that no version answers ends with 2.
    """
    store = open_store(url)
    answers = life(store, request_id, source)
    reader = Reader(store)
    purge = newest_purge(store)
    waits = waits_for(answers, reader.manifest(reader.newest()).base, 0 if purge is None else purge.version)
    if json:
        states = [answer.model_dump(mode="json", exclude={"request_id", "source"}) for answer in answers]
        print_json({"id": request_id, "source": answers[0].source, "states": states, "waits_for": waits})
        return
    print_facts({"request": request_id, "source": answers[0].source or None})
    told = {f"{answer.state} (version {answer.version})": _told(answer) for answer in answers}
    print_facts(told | {"waits for": waits or "nothing"})


def _told(answer: Answer) -> str:
    parts = [answer.time.isoformat(timespec="seconds")]
    if answer.residual_influence is not None:
        parts.append(f"residual influence {readable(answer.residual_influence)}")
    if answer.reason is not None:
        parts.append(answer.reason)
    if answer.near_miss:
        parts.append("another spelling of the id is known: look at case, blanks, composition and leading zeros")
    return ", ".join(parts)
