"""Models that are trained elsewhere, in a world: on data from its beginning, with everybody who was erased since."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from random import Random
from typing import Protocol

import torch

from ifru.objective.parameters import Parameters
from ifru.snapshots import FullState, Manifest, NoVersion, Reader, Store, candidates
from ifru.suppression import Suppression
from tests.daemon.world import CONFIG, ITEMS, TIME, USERS, Pair, pairs, trained_dataset
from tests.simulation.bucket import Bucket
from tests.simulation.requests import Sent

Identity = tuple[str, str]


class World(Protocol):
    """left: candidates, by the number of eras that there were when they were left."""

    store: Store
    bucket: Bucket
    eras: Sequence[object]
    left: Mapping[str, int]


def leave_candidate(random: Random, store: Store, number: int) -> str:
    """Somebody leaves a model that was trained on the original data; its name. Some began long ago.

    Raises OutdatedCandidate.
    """
    reader = Reader(store)
    entries = [reader.entry(version) for version in range(1, reader.newest() + 1)]
    left = [entry for entry in entries if isinstance(entry, Manifest)]
    cut = random.choice((left[-1], left[0], random.choice(left)))
    theta = 0.1 * torch.randn(USERS + ITEMS, CONFIG.rank, generator=torch.Generator().manual_seed(random.randrange(99)))
    state = FullState(CONFIG, Parameters.unstacked(theta, USERS), trained_dataset(timed=True))
    return candidates.leave(store, f"candidate-{number}", cut, state, cut.residual, {}, TIME).attempt


def released_users(sent: Iterable[Sent], answered: Set[Identity]) -> set[str]:
    """Users who may be trained on again: a new consent of theirs was answered."""
    contents = (json.loads(each.content) for each in sent if each.content and each.identity in answered)
    return {content["subject"] for content in contents if content["type"] == "release"}


def check_nobody_came_back(store: Store, initial: Counter[Pair]) -> None:
    """Nobody on the suppression list is in the newest version, and no candidate became two versions."""
    newest, suppression = Reader(store).load(), Suppression.read(store)
    assert len(suppression.rows(newest.dataset)) == 0, "somebody on the suppression list is in the newest version"
    data = trained_dataset(timed=True)
    data.delete(suppression.rows(data))
    gone = set(initial) - set(pairs(data))
    back = gone & set(pairs(newest.dataset))
    assert not back, f"resurrected: {sorted(back)[0]}"
    names = Counter(_candidates(Reader(store), newest.manifest.version))
    assert set(names.values()) <= {1}, f"adopted twice: {names.most_common(1)}"


def check_candidates(world: World) -> None:
    """No candidate is gone in silence: it became a version, or somebody can read why not."""
    created = b"".join(world.bucket.created.values())
    for name, era in world.left.items():
        adopted = f'"candidate": "{name}"'.encode() in created
        told = candidates.was_rejected(world.store, name)
        assert adopted or told or era < len(world.eras), f"gone in silence: {name}"
        assert not (adopted and told and era == len(world.eras)), f"adopted, and said to be refused: {name}"


def _candidates(reader: Reader, newest: int) -> Iterator[str]:
    """Those that versions were made from."""
    for version in range(1, newest + 1):
        with suppress(NoVersion):
            if name := reader.manifest(version).candidate:
                yield name
