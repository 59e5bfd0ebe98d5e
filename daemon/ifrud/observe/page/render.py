"""The status page as one HTML document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

from ifrud.observe.contact import Peer
from ifrud.observe.page.charts import Series, line_chart
from ifrud.observe.page.figures import Figures
from ifrud.observe.page.health import Finding, findings
from ifrud.observe.page.style import STYLE
from ifrud.observe.page.tables import Markup, facts, section, table, tile
from ifrud.observe.page.waiting import waiting_table
from ifrud.observe.page.words import UNKNOWN, count, counted, moment, share, small, span

LISTED = 12
"""Versions that the table shows."""


def render(seen: Figures, refresh_seconds: int, runbooks: str | None = None) -> str:
    """refresh_seconds: after which a browser asks again; 0: never. runbooks: URL of their folder."""
    wrong = findings(seen)
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds}">' if refresh_seconds else ""
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            refresh,
            f"<title>{escape(_summary(seen, wrong))} – ifrud</title><style>{STYLE}</style></head><body>",
            _header(seen),
            "<main>",
            _health(seen, wrong, runbooks),
            _tiles(seen),
            '<div class="two">',
            section("Open requests against their deadlines", waiting_table(seen)),
            section("Latency", _latency(seen)),
            section("Residual influence", _influence(seen)),
            section("Proven bound", _bound(seen)),
            section("Connections", _connections(seen)),
            section("Dead letters", _letters(seen)),
            "</div>",
            section("Versions and store", _stored(seen) + _versions(seen)),
            "</main>",
            _footer(refresh_seconds),
            "</body></html>\n",
        )
    )


def _summary(seen: Figures, wrong: list[Finding]) -> str:
    failures = sum(finding.severity == "failure" for finding in wrong)
    warnings = len(wrong) - failures
    said = [counted(failures, "failure")] if failures else []
    said += [counted(warnings, "warning")] if warnings else []
    match seen.status.state:
        case "starting":
            return ", ".join(["Loading the model", *said])
        case "stopping":
            return ", ".join(["Stopping", *said])
    return ", ".join(said) or "All is well"


def _header(seen: Figures) -> str:
    status = seen.status
    up = span(seen.age(status.started) or 0.0)
    return (
        f"<header><h1>ifrud</h1><p><code>{escape(status.store)}</code></p>"
        f'<p class="when">{moment(seen.now)}, up for {up}</p></header>'
    )


def _health(seen: Figures, wrong: list[Finding], runbooks: str | None) -> str:
    state = seen.status.state
    if any(finding.severity == "failure" for finding in wrong):
        kind = "bad"
    elif wrong:
        kind = "warn"
    else:
        kind = "good" if state == "ready" else "busy"
    said = {
        "starting": "The daemon is alive, and takes requests once the model is loaded. They wait in the source.",
        "ready": "Requests are taken and answered." if seen.ready else "Requests cannot be answered now. They wait.",
        "stopping": "The batch in hand is finished; no other request is read any more.",
    }[state]
    items = "".join(_finding(finding, runbooks) for finding in wrong)
    body = f"<p>{said}</p>" + (f'<ul class="findings">{items}</ul>' if items else "")
    return section(_summary(seen, wrong), body, f"health {kind}")


def _finding(finding: Finding, runbooks: str | None) -> str:
    name = f"{finding.runbook}.md"
    book = f"<code>deploy/runbooks/{name}</code>"
    if runbooks is not None:
        book = f'<a href="{escape(runbooks.rstrip("/"))}/{name}">{finding.runbook}</a>'
    return (
        f'<li class="{finding.severity}"><h3><span class="kind">{finding.severity}</span>{escape(finding.title)}</h3>'
        f'<p>{escape(finding.text)}</p><p class="todo">{escape(finding.todo)}</p><p>Runbook: {book}</p></li>'
    )


def _tiles(seen: Figures) -> str:
    status, nearest = seen.status, seen.nearest_deadline
    published = seen.versions[-1].time if seen.versions else None
    left = None if nearest is None else (nearest - seen.now).total_seconds()
    tolerance, newest = seen.value("ifrud_engine_tolerance"), seen.answers[-1] if seen.answers else None
    return "".join(
        (
            '<dl class="tiles">',
            tile("Newest version", count(status.version), "" if published is None else _ago(seen.age(published))),
            tile("Open requests", count(len(seen.deadlines)), f"{count(status.held)} of them held"),
            tile(
                "Nearest deadline",
                UNKNOWN if left is None else "over" if left < 0 else span(left),
                "no open request has one" if nearest is None else moment(nearest),
            ),
            tile(
                "Latency",
                UNKNOWN if newest is None else span(newest.median),
                "of the newest batch, median" if newest else "nothing answered since the start",
            ),
            tile(
                "Residual influence",
                share(status.residual_influence),
                "" if tolerance is None else f"{share(tolerance)} is allowed",
            ),
            *_proofs(seen),
            "</dl>",
        )
    )


def _proofs(seen: Figures) -> Iterator[str]:
    bound, version = seen.value("ifrud_proof_rms_bound"), seen.value("ifrud_proof_version")
    if bound is None or version is None:
        proven = next((point for point in reversed(seen.versions) if point.bound is not None), None)
        bound, version = (None, None) if proven is None else (proven.bound, proven.version)
    of = "not proven yet" if version is None else f"of version {count(int(version))}"
    yield tile("Proven bound", small(bound), of)
    requests, worst = seen.value("ifrud_proven_requests_share"), seen.value("ifrud_proven_requests_worst_left")
    if requests is not None:
        left = "of the newest ones" if worst is None else f"at most {share(worst)} is left of one"
        yield tile("Requests proven", share(requests), left)


def _ago(seconds: float | None) -> str:
    return "" if seconds is None else f"published {span(seconds)} ago"


def _ends(seen: Figures) -> tuple[str, str]:
    return f"version {count(seen.versions[0].version)}", f"version {count(seen.versions[-1].version)}"


def _influence(seen: Figures) -> str:
    caption = "Share of a batch's influence that is still in the model. 0 is the retrained model."
    tolerance = seen.value("ifrud_engine_tolerance")
    limit = None if tolerance is None else ("tolerance", tolerance)
    values = [point.influence for point in seen.versions]
    return _by_version(seen, "Residual influence", caption, values, share, limit=limit)


def _bound(seen: Figures) -> str:
    caption = "Predictions are no further than this from the retrained model's, as a root mean square."
    values = [point.bound for point in seen.versions]
    return _by_version(seen, "Proven bound", caption, values, small, logarithmic=True)


def _by_version(
    seen: Figures,
    name: str,
    caption: str,
    values: list[float | None],
    written: Callable[[float | None], str],
    logarithmic: bool = False,
    limit: tuple[str, float] | None = None,
) -> str:
    if not values:
        return _figure(caption, "", seen)
    tips = [f"version {point.version}: {written(value)}" for point, value in zip(seen.versions, values, strict=True)]
    series = [Series(name, values, tips)]
    return _figure(caption, line_chart(f"{name} by version", series, _ends(seen), written, logarithmic, limit), seen)


def _latency(seen: Figures) -> str:
    caption = "From an event that is read to its receipt, by batch, since the start."
    if not seen.answers:
        return _figure(caption, "", seen)
    tips = [f"{moment(batch.time)}, {counted(batch.requests, 'request')}" for batch in seen.answers]
    series = [
        Series("median", [batch.median for batch in seen.answers], tips),
        Series("longest", [batch.longest for batch in seen.answers], tips),
    ]
    ends = moment(seen.answers[0].time), moment(seen.answers[-1].time)
    return _figure(caption, line_chart("Latency by batch", series, ends, span, logarithmic=True), seen)


def _figure(caption: str, drawn: str, seen: Figures) -> str:
    state = "The model is being loaded." if seen.status.state == "starting" else "Nothing to show yet."
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawn or f'<p class=none>{state}</p>'}</figure>"


def _letters(seen: Figures) -> str:
    letters = seen.dead_letters
    if not letters:
        return '<p class="none">None since the start.</p>'
    rows = [
        ("", (field, _WRONG.get(field, f"the field {field} is missing or wrong"), count(number)))
        for field, number in letters.items()
    ]
    caption = "Since the start, by what was wrong. ifrud dead-letters list shows them."
    return table(caption, ("field", "reason", "#count"), rows)


_WRONG = {
    "payload": "is no JSON document, or too large",
    "record": "Kafka's record cannot be read",
    "engine": "no update could be computed",
    "rejected": "an operator rejected what was held",
    "id": "the id is missing, wrong, or was used for something else",
    "type": "is none of the types that are understood",
}


_PEERS: tuple[tuple[Peer, str], ...] = (
    ("source", "Source"),
    ("store", "Store"),
    ("receipts", "Receipts"),
    ("dead_letters", "Dead letters"),
)


def _connections(seen: Figures) -> str:
    rows = []
    for peer, name in _PEERS:
        away = peer in seen.status.away
        since = seen.status.away.get(peer)
        state = "answers" if peer in seen.answered_by else "not asked yet"
        if away:
            state = "away since the start" if since is None else f"away since {moment(since)}"
        rows.append(("failure" if away else "", (name, state)))
    source, lag = seen.status.source, seen.status.lag
    waits = "is not known" if lag is None else counted(lag, "byte" if source.startswith("file:") else "event")
    caption = f"The source is {source}. What it holds beyond the newest version: {waits}."
    return table(caption, ("peer", "state"), rows)


def _stored(seen: Figures) -> str:
    status = seen.status
    stored = seen.value("ifrud_oldest_erased_age_seconds")
    erased = UNKNOWN if stored is None else "none" if stored == 0 else f"erased {span(stored)} ago"
    rows = f"{count(status.retained_interactions)} to train on, {count(status.holdout_interactions)} held out"
    return facts(
        (
            ("Store", Markup(f"<code>{escape(status.store)}</code>")),
            ("Rows in the newest version", rows),
            ("Erased since the start", f"{counted(status.deleted_interactions, 'row')}"),
            ("Requests since the start", count(status.requests)),
            ("Oldest erased rows that old versions still hold", erased),
        )
    )


def _versions(seen: Figures) -> str:
    if not seen.versions:
        return '<p class="none">The model is being loaded.</p>'
    rows = [
        (
            "",
            (
                count(point.version),
                moment(point.time),
                point.kind,
                count(point.requests),
                count(point.rows),
                share(point.influence),
                small(point.bound),
            ),
        )
        for point in reversed(seen.versions[-LISTED:])
    ]
    columns = ("#version", "published", "files", "#requests", "#rows left", "#residual influence", "#proven bound")
    return table("As their manifests say. The newest comes first.", columns, rows)


def _footer(refresh_seconds: int) -> str:
    if refresh_seconds:
        said = f'The page renews itself every {refresh_seconds} s. <a href="?refresh=0">Keep it still</a>'
    else:
        said = 'The page keeps still. <a href="?">Renew it by itself</a>'
    return f'<footer><p>{said} · <a href="metrics">metrics</a> · <a href="status">status as JSON</a></p></footer>'
