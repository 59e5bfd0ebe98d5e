"""A small model, and what happens to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import torch

from ifru.interactions import Dataset, Deletion
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import Recorded, split
from ifru.models import MFConfig
from ifru.objective.parameters import Parameters, ParameterUpdate
from ifru.snapshots import Change, FullState, Manifest, Residual, Store, Version, Writer, open_store

CONFIG = MFConfig(rank=3, l2=0.1, bias=True)
TIME = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RESIDUAL = Residual(
    influence=0.1, settled=None, total=0.2, batch_energy=0.0, added_energy=3.5, method="push", reason="tolerance"
)
SOURCE = "events.jsonl"

_attempts = itertools.count()


def another_store() -> Store:
    """A store in memory that nothing else uses."""
    return open_store(f"memory://{uuid4().hex}")


def writer(store: Store, name: str = "attempt") -> Writer:
    """A writer whose attempts carry a name."""
    return Writer(store, lambda: TIME, lambda: f"{name}-{next(_attempts)}", lambda count: bytes(range(count)))


@dataclass
class Live:
    """A model in memory, as a daemon has it."""

    tables: Parameters
    dataset: Dataset

    @staticmethod
    def new(users: int = 8, items: int = 6, rows: int = 30, seed: int = 0, timed: bool = False) -> Live:
        random = np.random.default_rng(seed)
        pairs = random.permutation(users * items)[:rows]
        user, item = (pairs // items).astype(np.int32), (pairs % items).astype(np.int32)
        time = random.integers(0, 10**15, size=rows) if timed else None
        names = [f"user {n}" for n in range(users)], [f"item {n}" for n in range(items)]
        dataset = split(
            Recorded(user, item, None, time, *names), LabelRule.parse("positive:1"), holdout=0.25, seed=seed
        )
        generator = torch.Generator().manual_seed(seed)
        sizes = (users, CONFIG.rank + CONFIG.bias), (items, CONFIG.rank + CONFIG.bias)
        return Live(Parameters.of(*(torch.randn(size, generator=generator) for size in sizes)), dataset)

    @staticmethod
    def of(version: Version) -> Live:
        """The model that a restarted daemon has."""
        held = version.copy()
        return Live(held.parameters, held.dataset)

    def copy(self) -> Live:
        return Live(self.tables.to("cpu", copy=True), self.dataset.copy())

    def erase(self, user: int, event: int = 0, full: bool = False) -> Change:
        """Delete a user, and move their row and two items' in a way that depends on nothing but the model."""
        deletion = self.dataset.delete(self.dataset.of_user(user))
        self.tables.user[user] = 0.0
        items = np.array([user % len(self.tables.item), (user + 1) % len(self.tables.item)])
        self.tables.item[items] += 0.5
        return self.change(deletion, [user], np.unique(items), event, full)

    def change(
        self, deletion: Deletion, users: Sequence[int], items: np.ndarray, event: int, full: bool = False
    ) -> Change:
        return Change(
            update=update_of(self.tables, users, items),
            deletion=deletion,
            positions={SOURCE: {0: event + 1}},
            events=[f"hash {event}"],
            residual=RESIDUAL,
            receipts=[f'{{"request_id": "{event}"}}'.encode()],
            quality={"auc": 0.75},
            full=self.state() if full else None,
        )

    def start(self, by: Writer) -> Manifest:
        return by.start(self.state(), {"auc": 0.8}, RESIDUAL)

    def state(self) -> FullState:
        return FullState(CONFIG, self.tables, self.dataset)


def update_of(
    tables: Parameters, users: Sequence[int] | np.ndarray, items: Sequence[int] | np.ndarray
) -> ParameterUpdate:
    """What some rows hold now."""
    rows = {
        side: torch.tensor(list(numbers), dtype=torch.int64) for side, numbers in (("user", users), ("item", items))
    }
    return ParameterUpdate({side: (numbers, tables.tables[side][numbers]) for side, numbers in rows.items()})


def assert_same(version: Version, live: Live) -> None:
    """A version that was read is the model in memory, apart from the places of deleted rows."""
    assert torch.equal(version.parameters.user, live.tables.user)
    assert torch.equal(version.parameters.item, live.tables.item)
    assert list(version.dataset.users) == list(live.dataset.users)
    assert list(version.dataset.items) == list(live.dataset.items)
    for read, written in ((version.dataset.train, live.dataset.train), (version.dataset.holdout, live.dataset.holdout)):
        ours, theirs = read.columns(), written.columns()
        for name in ("user", "item", "label", "weight", "origin"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
        assert (ours.time is None) == (theirs.time is None)
        if ours.time is not None and theirs.time is not None:
            np.testing.assert_array_equal(ours.time, theirs.time)
        assert (ours.offset is None) == (theirs.offset is None)
        if ours.offset is not None and theirs.offset is not None:
            np.testing.assert_array_equal(ours.offset, theirs.offset)


def no_sleep(forbidden: str) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        raise AssertionError(f"{forbidden}, but {seconds} s were waited")

    return sleep
