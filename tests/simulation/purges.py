"""What `purged` promises, as checks on a world that has come to an end."""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Collection

import pyarrow.parquet as pq

from ifru.requests import parse_request, resolve
from ifru.snapshots import newest_purge
from tests.daemon.world import Pair
from tests.simulation.held import answers, carried_out
from tests.simulation.promises import Identity
from tests.simulation.retraining import released_users
from tests.simulation.world import World


def check_purges(world: World) -> None:
    """Raises AssertionError for the first promise that is broken."""
    assert not world.bucket.purged_too_early
    published, purged = _in_ledgers(world)
    assert not [identity for identity, count in purged.items() if count > 1], "told twice"
    purge = newest_purge(world.store)
    gone = {identity for identity, version in published.items() if purge is not None and version <= purge.version}
    assert purged.keys() == gone, "told too early, or never"
    arrived = [json.loads(receipt) for era in world.eras for receipt in era.receipts]
    told = {_identity(said) for said in arrived if said["state"] == "purged"}
    assert purged.keys() <= told, "purged, and nobody was told"
    _nothing_left(world, purged.keys())
    _nobody_named(world)


def _in_ledgers(world: World) -> tuple[dict[Identity, int], Counter[Identity]]:
    """Request -> the version that erased what it means; and how many receipts say that it was purged.

    A version of a command repeats those of the version before.
    """
    published: dict[Identity, int] = {}
    purged: Counter[Identity] = Counter()
    known: set[str] = set()
    for number in range(1, world.reader.newest() + 1):
        for said in map(json.loads, world.reader.receipts(number)):
            if said["state"] == "published" and said.get("erased", True):
                published.setdefault(_identity(said), said["version"])
            purged[_identity(said)] += said["state"] == "purged" and said["id"] not in known
            known.add(said["id"])
    return published, +purged


def _nothing_left(world: World, purged: Collection[Identity]) -> None:
    """No file of interactions holds what a purged request means, unless somebody came back by a new consent."""
    contents, back = defaultdict(set), released_users(world.sent.values(), carried_out(answers(world.reader)))
    for sent in world.sent.values():
        contents[sent.identity].add(sent.content)
    meant = {
        pair
        for sent in world.sent.values()
        if sent.identity in purged and len(contents[sent.identity]) == 1
        for pair in sent.pairs
        if pair[0] not in back
    }
    for path in world.bucket.objects:
        if path.endswith(("/train.parquet", "/holdout.parquet")):
            left = meant & _pairs(world, path)
            assert not left, f"purged, and in {path}: {sorted(left)[0]}"


def _nobody_named(world: World) -> None:
    """What is held names only whom the newest version has rows of. Where a log lost an approval, it may have answered
    half of a batch before."""
    newest = world.reader.load()
    for request in (
        parse_request(json.dumps(json.loads(line)["request"])) for line in world.reader.pending(newest.manifest)
    ):
        alone = getattr(request, "interactions", [None])
        each = (request if pair is None else request.model_copy(update={"interactions": [pair]}) for pair in alone)
        empty = [one for one in each if len(resolve(one, newest.dataset)) == 0]
        assert not empty or world.stream.mishaps, f"held, and nothing is left of it: {empty[0]}"


def _pairs(world: World, path: str) -> set[Pair]:
    folder = path.rpartition("/")[0]

    def read(name: str) -> dict[str, list[object]]:
        found: dict[str, list[object]] = pq.read_table(io.BytesIO(world.bucket.objects[name])).to_pydict()
        return found

    tables = [read(f"{folder}/{side}.parquet") for side in ("users", "items")]
    names = [dict(zip(table["row"], table["id"], strict=True)) for table in tables]
    rows = read(path)
    return {(names[0][user], names[1][item]) for user, item in zip(rows["user"], rows["item"], strict=True)}


def _identity(said: dict[str, str]) -> Identity:
    return said["source"], said["request_id"]
