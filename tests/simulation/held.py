"""The brake in a world: who approves what, and what has to hold of requests that are held."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from ifru.snapshots import Manifest, Reader, event_hash
from tests.simulation.requests import Identity, Sent

SHARES = (1, 0.05, 0.02)
"""Of some thirty rows a user or an item has about half, and a request for pairs a few."""


def to_approve(random: Random, receipts: Iterable[bytes]) -> list[Identity]:
    """What somebody approves who has read these receipts; now and then what was never held."""
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


def check_held(
    given: Mapping[Identity, Sequence[Answer]],
    sent: Iterable[Sent],
    newest: Manifest,
    pending: Sequence[bytes],
    key: bytes,
) -> None:
    """A held request is in the newest version with all it asks for, until a version that an approval names it in."""
    approvals = {each.identity: each.approves for each in sent if each.identity and each.approves}
    approved = {
        (approvals[identity], version)
        for identity, told in given.items()
        for version, state in told
        if identity in approvals and state == "published"
    }
    held = set()
    for identity, told in given.items():
        states = [state for _, state in told]
        if "held" not in states:
            continue
        assert states[0] == "held", f"held after it was answered: {identity}"
        assert len(states) <= 2, f"answered more than twice: {identity}"
        if len(told) == 1:
            held.add(identity)
        elif states[1] == "published":
            assert (identity, told[1][0]) in approved, f"erased, and nobody approved it: {identity}"
    assert {each.hash for each in newest.held} == {event_hash(key, *identity) for identity in held}, "lost or made up"
    kept = {(line["request"]["source"], line["request"]["id"]) for line in map(json.loads, pending)}
    assert kept == held, "what held requests ask for is lost, or kept for too long"
