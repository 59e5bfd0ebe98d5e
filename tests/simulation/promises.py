"""What `docs/protocol.md` promises, as checks on a world that has come to an end."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from ifru.snapshots import Reader, Store, hash_key_of
from ifru.snapshots.audit import audit
from tests.daemon.world import Pair, pairs
from tests.simulation.held import Answer, answers, carried_out, check_held
from tests.simulation.requests import Identity, Sent
from tests.simulation.retraining import check_nobody_came_back, released_users

_NUMBER = re.compile(r'"number": (\d+)|number (\d+)|\[(\d+)\]')


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
    refused = {number_of(letter) for letter in world.letters if json.loads(letter)["field"] != "rejected"}
    given = answers(world.reader)
    known = {sent.identity for sent in world.sent.values() if sent.identity}
    answered = carried_out(given) & known
    _all_answered(world, refused, given.keys() & known)
    _only_bad_ones_refused(world, refused)
    _erased_what_was_answered(world, refused, answered)
    newest = world.reader.manifest(world.reader.newest())
    check_held(
        given, world.sent.values(), newest, world.reader.pending(newest), hash_key_of(world.store, newest.hash_key_id)
    )
    _receipts_arrived(world, refused, given)
    for era in world.eras:
        _receipts_agree(era.receipts)
    assert not world.committed_while_fenced
    check_nobody_came_back(world.store, world.initial)
    found = audit(world.store).problems
    assert not found, found[0]


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
        # What an approval names may not have been known yet.
        good = sent.identity is not None and sent.approves is None and sent.rejects is None
        assert not good or len(contents[sent.identity]) > 1, f"refused without a reason: {sent}"


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


def _receipts_arrived(world: World, refused: set[int], given: Mapping[Identity, Sequence[Answer]]) -> None:
    told = [said for era in world.eras for said in map(json.loads, era.receipts)]
    arrived = {((said["source"], said["request_id"]), said["state"]) for said in told}
    for sent in world.stream.present:
        if sent.identity and sent.number not in refused:
            for _, state in given[sent.identity]:
                assert (sent.identity, state) in arrived, f"answered, and nobody was told: {sent}"


def _receipts_agree(receipts: list[bytes]) -> None:
    """All receipts of a request are the same, to the byte, but for those while it is held and once it is purged.

    What is rejected, and sent again, may be held and rejected once more, by another version.
    """
    said = defaultdict(set)
    for receipt in receipts:
        document = json.loads(receipt)
        state, again = document["state"], document["version"]
        kind = (state, again) if state in ("held", "failed") else state if state == "purged" else "answered"
        said[document["source"], document["request_id"], kind].add(receipt)
    contradictory = [sorted(different) for different in said.values() if len(different) > 1]
    assert not contradictory, contradictory[0]


def number_of(letter: bytes) -> int:
    """Of the record that a dead letter is about."""
    found = _NUMBER.search(json.loads(letter)["payload"])
    assert found, letter
    return int(next(group for group in found.groups() if group))
