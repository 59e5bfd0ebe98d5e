"""What `docs/protocol.md` promises, as checks on a world that has come to an end."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from ifru.snapshots import Reader, Store, event_hash, read_hash_key
from ifru.snapshots.audit import audit
from tests.daemon.world import Pair, pairs
from tests.simulation.requests import Sent
from tests.simulation.retraining import check_nobody_came_back, released_users

_NUMBER = re.compile(r'"number": (\d+)|number (\d+)|\[(\d+)\]')
Identity = tuple[str, str]


class Stream(Protocol):
    """present: the records that can be read now, in order."""

    @property
    def present(self) -> Sequence[Sent]: ...


class Era(Protocol):
    """The time between two restores of a backup. receipts: what arrived in it."""

    @property
    def receipts(self) -> list[bytes]: ...


class World(Protocol):
    """What is left of a world, simulated or not. sent: by number. letters: dead ones, of all eras."""

    store: Store
    reader: Reader
    initial: Counter[Pair]

    @property
    def sent(self) -> Mapping[int, Sent]: ...

    @property
    def stream(self) -> Stream: ...

    @property
    def eras(self) -> Sequence[Era]: ...

    @property
    def letters(self) -> Sequence[bytes]: ...

    @property
    def committed_while_fenced(self) -> Sequence[str]: ...


def check(world: World) -> None:
    """Raises AssertionError for the first promise that is broken."""
    refused = {number_of(letter) for letter in world.letters}
    answered = _answered_once(world)
    _all_answered(world, refused, answered)
    _only_bad_ones_refused(world, refused)
    _erased_what_was_answered(world, refused, answered)
    _receipts_arrived(world, refused)
    for era in world.eras:
        _receipts_agree(era.receipts)
    assert not world.committed_while_fenced
    check_nobody_came_back(world.store, world.initial)
    found = audit(world.store).problems
    assert not found, found[0]


def _answered_once(world: World) -> set[Identity]:
    """The requests that the versions of the store answer, each in one of them."""
    key = read_hash_key(world.store)
    of_hash = {event_hash(key, *sent.identity): sent.identity for sent in world.sent.values() if sent.identity}
    found: Counter[Identity] = Counter()
    for number in range(1, world.reader.newest() + 1):
        for line in world.reader.receipts(number):
            receipt = json.loads(line)
            found[receipt["source"], receipt["request_id"]] += receipt["version"] == number
    assert not [identity for identity, count in found.items() if count > 1], "answered by two versions"
    return {identity for identity, count in found.items() if count} & set(of_hash.values())


def _all_answered(world: World, refused: set[int], answered: set[Identity]) -> None:
    not_refused: dict[Identity, set[str | None]] = defaultdict(set)
    for sent in world.stream.present:
        if sent.identity and sent.number not in refused:
            not_refused[sent.identity].add(sent.content)
        if sent.identity is None or sent.number in refused:
            assert sent.number in refused, f"lost, and no dead letter: {sent}"
        else:
            assert sent.identity in answered, f"lost: {sent}"

    false = [identity for identity, contents in not_refused.items() if len(contents) > 1]
    assert not false, f"told that it was done by the receipt of another request: {false}"


def _only_bad_ones_refused(world: World, refused: set[int]) -> None:
    contents = defaultdict(set)
    for sent in world.sent.values():
        contents[sent.identity].add(sent.content)
    for number in refused:
        sent = world.sent[number]
        assert sent.identity is None or len(contents[sent.identity]) > 1, f"refused without a reason: {sent}"


def _erased_what_was_answered(world: World, refused: set[int], answered: set[Identity]) -> None:
    """Exactly the rows that answered requests mean are gone from the newest version."""
    by_identity: dict[Identity, list[Sent]] = defaultdict(list)
    present = {sent.number for sent in world.stream.present}
    gone = {sent.identity for sent in world.sent.values() if sent.number not in present}
    for sent in world.sent.values():
        # What was refused may be the first of its identity once a backup was restored, or the log has lost the first.
        refusal_stands = len(world.eras) == 1 and sent.identity not in gone
        if sent.identity in answered and not (sent.number in refused and refusal_stands):
            by_identity[sent.identity].append(sent)
    left, released = pairs(world.reader.load().dataset), released_users(world.sent.values(), answered)
    surely, perhaps = set(), set()
    for group in by_identity.values():
        (surely if len({sent.content for sent in group}) == 1 else perhaps).update(*(sent.pairs for sent in group))
    for pair, count in world.initial.items():
        if pair[0] in released:
            continue
        if pair in surely:
            assert left[pair] == 0, f"not erased: {pair}"
        elif pair not in perhaps:
            assert left[pair] == count, f"erased, and nobody asked: {pair}"


def _receipts_arrived(world: World, refused: set[int]) -> None:
    arrived = {(said["source"], said["request_id"]) for era in world.eras for said in map(json.loads, era.receipts)}
    for sent in world.stream.present:
        if sent.identity and sent.number not in refused:
            assert sent.identity in arrived, f"answered, and nobody was told: {sent}"


def _receipts_agree(receipts: list[bytes]) -> None:
    """All receipts of a request are the same, to the byte."""
    said = defaultdict(set)
    for receipt in receipts:
        document = json.loads(receipt)
        said[document["source"], document["request_id"]].add(receipt)
    contradictory = [sorted(different) for different in said.values() if len(different) > 1]
    assert not contradictory, contradictory[0]


def number_of(letter: bytes) -> int:
    """Of the record that a dead letter is about."""
    found = _NUMBER.search(json.loads(letter)["payload"])
    assert found, letter
    return int(next(group for group in found.groups() if group))
