"""What is left after a play, and what `docs/protocol.md` promises of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ifru.snapshots import Reader, Store
from tests.acceptance.kills.life import Urls
from tests.acceptance.running import values
from tests.daemon.world import Pair
from tests.simulation.promises import check, number_of
from tests.simulation.requests import Sent


@dataclass(frozen=True)
class Arrived:
    """receipts: as they came."""

    receipts: list[bytes]


@dataclass(frozen=True)
class Topic:
    """present: all that was sent, in order within each identity."""

    present: Sequence[Sent]


@dataclass
class Aftermath:
    """As `promises.check` asks for it."""

    store: Store
    reader: Reader
    initial: Counter[Pair]
    sent: Mapping[int, Sent]
    stream: Topic
    eras: Sequence[Arrived]
    letters: Sequence[bytes]
    committed_while_fenced: Sequence[str] = ()


def check_all(urls: Urls, store: Store, initial: Counter[Pair], sent: Sequence[Sent]) -> None:
    """Raises AssertionError for the first promise that is broken. A broker is asked, and so is the bucket."""
    receipts, letters = values(urls.receipts), values(urls.dead_letters)
    by_number = {each.number: each for each in sent}
    check(Aftermath(store, Reader(store), initial, by_number, Topic(sent), [Arrived(receipts)], letters))
    _exactly_refused(sent, {number_of(letter) for letter in letters if json.loads(letter)["field"] != "rejected"})
    documents = [json.loads(receipt) for receipt in receipts]
    unasked = {(said["source"], said["request_id"]) for said in documents} - {each.identity for each in sent}
    assert not unasked, f"receipts of nothing: {unasked}"


def _exactly_refused(sent: Sequence[Sent], refused: set[int]) -> None:
    """Of several requests of one identity the first is answered, and those with another content are refused.

    What a decision names may not have been known yet; then another one under its identity is the first.
    """
    first: dict[tuple[str, str], str | None] = {}
    expected = set()
    decisions = {each.identity for each in sent if each.approves or each.rejects}
    for each in sent:
        if each.identity is None or first.setdefault(each.identity, each.content) != each.content:
            expected.add(each.number)
    either = {each.number for each in sent if each.identity in decisions}
    refused, expected = refused - either, expected - either
    assert refused == expected, f"refused without a reason: {refused - expected}; not refused: {expected - refused}"
