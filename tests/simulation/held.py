"""The brake in a world: who decides what, and what has to hold of requests that are held."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from ifru.snapshots import Manifest, Reader, event_hash
from tests.simulation.requests import Identity, Sent

SHARES = (1, 0.05, 0.02)
"""Of some thirty rows a user or an item has about half, and a request for pairs a few."""


def to_decide(random: Random, receipts: Iterable[bytes]) -> list[Identity]:
    """What somebody decides about who has read these receipts; now and then what was never held."""
    documents = list(map(json.loads, receipts))
    named = [(said["source"], said["request_id"]) for said in documents if said["state"] == "held"]
    if random.random() < 0.2:
        named += [(said["source"], said["request_id"]) for said in documents] + [("", "r0"), ("crm", "nobody")]
    return random.sample(named, min(len(named), random.randint(1, 5)))


Answer = tuple[int, str]
"""Version and state of a receipt."""


def answers(reader: Reader) -> dict[Identity, list[Answer]]:
    """How the versions of a store have answered each request, in their order."""
    found: dict[Identity, list[Answer]] = defaultdict(list)
    for number in range(1, reader.newest() + 1):
        for receipt in map(json.loads, reader.receipts(number)):
            if receipt["version"] == number:
                found[receipt["source"], receipt["request_id"]].append((number, receipt["state"]))
    return found


def carried_out(given: Mapping[Identity, Sequence[Answer]]) -> set[Identity]:
    """Requests that were answered, and neither only held nor rejected."""
    return {each for each, told in given.items() if any(state not in ("held", "failed") for _, state in told)}


def check_held(
    given: Mapping[Identity, Sequence[Answer]],
    sent: Iterable[Sent],
    newest: Manifest,
    pending: Sequence[bytes],
    key: bytes,
) -> None:
    """A held request is in the newest version with all it asks for, until a version that a decision names it in."""
    contents, decided, every = defaultdict(set), defaultdict(set), list(sent)
    for each in every:
        contents[each.identity].add(each.content)
    for each in every:
        for what, name in (("published", each.approves), ("failed", each.rejects)):
            if each.identity and name:
                versions = {version for version, state in given.get(each.identity, ()) if state == "published"}
                decided[name, what] |= versions
                done = what == "published" or all((at, what) in given[name] for at in versions)
                assert done or len(contents[each.identity]) > 1, f"said to be rejected, and is not: {name}"
    held = set()
    for identity, told in given.items():
        before = None
        for version, state in told:
            assert before in (None, "held", "failed"), f"answered more than once: {identity}"
            assert (before, state) != ("held", "held"), f"held twice: {identity}"
            # What was sent again after a rejection need not be held again.
            asked = state == "failed" or (state == "published" and before == "held")
            assert not asked or version in decided[identity, state], f"{state}, and nobody said so: {identity}"
            before = state
        if before == "held":
            held.add(identity)
    assert {each.hash for each in newest.held} == {event_hash(key, *identity) for identity in held}, "lost or made up"
    kept = {(line["request"]["source"], line["request"]["id"]) for line in map(json.loads, pending)}
    assert kept == held, "what held requests ask for is lost, or kept for too long"
