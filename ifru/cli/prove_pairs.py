"""`ifru prove` of chosen pairs: what the exactly retrained model says of them, such as those of one person.

Axes: M pairs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from ifru.errors import IfruError
from ifru.evaluation.chosen_pairs import PairProver, PairsProven, by_change, check_provable, pair_scores
from ifru.models import model_of
from ifru.objective.tilted import ChosenPairs
from ifru.proof import PairDual, ProofError, interval
from ifru.snapshots import NoVersion, Reader, Store, Version, erased_by, hash_key_of

EACH_LIMIT = 100
"""Pairs that are proven one by one at most."""


@dataclass(frozen=True)
class Asked:
    """What is to be proven. pairs: a CSV file of users and items. request: an id, of a source.

    key: of the store's hashes, where it is not kept there. before: a version that the change is measured from.
    mean: every pair weighs the same. each: one proof for each.
    """

    pairs: Path | None
    request: str | None
    source: str
    key: bytes | None
    before: int | None
    mean: bool
    each: bool


@dataclass(frozen=True)
class _Chosen:
    """user, item [M], ascending, as numbers of a version.

    now, before [M]: their scores in the version and in one before it, None where there is none. said: facts to print.
    """

    user: Tensor
    item: Tensor
    now: Tensor
    before: Tensor | None
    said: dict[str, object]


def prove_pairs(
    store: Store, version: int | None, asked: Asked, given: PairDual | None, random: torch.Generator
) -> tuple[dict[str, object], PairDual | None]:
    """What is proven, as facts, and the dual point that proves it. given: a dual point in place of solving.

    Raises IfruError for input that cannot be used, and what reading raises.
    """
    reader = Reader(store)
    loaded = reader.load(version)
    check_provable(loaded.manifest.model)
    chosen, config, train = _chosen(store, reader, loaded, asked), loaded.manifest.model, loaded.dataset.train
    pairs = by_change(chosen.user, chosen.item, chosen.now, None if asked.mean else chosen.before)
    start = perf_counter()
    facts: dict[str, object] = {"version": loaded.manifest.version, "provable": True, **chosen.said}
    if given is not None:
        pairs = _same(given, pairs, asked.mean or chosen.before is not None)
        held = interval(given, model_of(config).duality(train), random=random)
        found = PairsProven(held.low, held.high, held.failure_probability, 0, given)
        return facts | _facts(chosen, pairs, found) | {"seconds": perf_counter() - start}, given
    prover = PairProver(loaded.parameters, train, config)
    if asked.each:
        each = list(_each(prover, chosen, random))
        return facts | {"each": each, "seconds": perf_counter() - start}, None
    found = prover.prove(pairs, random)
    counted = {"products": prover.products + found.products, "seconds": perf_counter() - start}
    return facts | _facts(chosen, pairs, found) | counted, found.dual


def _each(prover: PairProver, chosen: _Chosen, random: torch.Generator) -> Iterator[dict[str, object]]:
    if len(chosen.user) > EACH_LIMIT:
        raise IfruError(f"--each would prove {len(chosen.user)} pairs one by one; allowed are {EACH_LIMIT}")
    one = torch.ones(1, dtype=torch.float64)
    for place in range(len(chosen.user)):
        some = slice(place, place + 1)
        before = None if chosen.before is None else chosen.before[some]
        single = _Chosen(chosen.user[some], chosen.item[some], chosen.now[some], before, {})
        pairs = ChosenPairs(single.user, single.item, one)
        yield {"pair": place + 1} | _facts(single, pairs, prover.prove(pairs, random))


def _facts(chosen: _Chosen, pairs: ChosenPairs, found: PairsProven) -> dict[str, object]:
    published = float((pairs.weight * chosen.now).sum())
    change = None if chosen.before is None else abs(float((pairs.weight * chosen.before).sum()) - published)
    bound = found.bound(published)
    return {
        "published": published,
        "low": found.low,
        "high": found.high,
        "bound": bound,
        "change": change,
        "left_at_most": bound / change if change else None,
        "failure_probability": found.failure_probability,
        "products": found.products,
    }


def _same(given: PairDual, asked: ChosenPairs, weights_known: bool) -> ChosenPairs:
    """The pairs of a dual point. Raises ProofError where they, or their weights, are not those that are asked for."""
    pairs = given.pairs
    if not (torch.equal(pairs.user, asked.user) and torch.equal(pairs.item, asked.item)):
        raise ProofError(
            f"the dual point is for other pairs: it has {len(pairs)}, asked for are {len(asked)}; a dual point proves "
            "only what it says of its own pairs"
        )
    if pairs.weight.shape != asked.weight.shape:
        raise ProofError("the dual point has not one weight for each pair; it is damaged")
    equal = torch.full_like(asked.weight, 1 / len(asked))
    normal = torch.allclose(pairs.weight, equal) or abs(float(pairs.weight.norm()) - 1) < 1e-6
    if not normal or (weights_known and not torch.allclose(pairs.weight, asked.weight, rtol=0, atol=1e-6)):
        raise ProofError(
            "the dual point weighs its pairs in another way than was asked for: by the normalised change from the "
            "version before, or all the same with --mean; give the options that it was made with"
        )
    return pairs


def _chosen(store: Store, reader: Reader, loaded: Version, asked: Asked) -> _Chosen:
    said: dict[str, object] = {}
    if asked.request is not None:
        key = hash_key_of(store, loaded.manifest.hash_key_id, asked.key)
        erased = erased_by(reader, key, asked.source, asked.request)
        before: Version | None = erased.before if asked.before is None else reader.load(asked.before)
        user, item = torch.from_numpy(erased.user), torch.from_numpy(erased.item)
        said = {"answered_by": erased.version, "requests_of_that_version": erased.requests}
    else:
        assert asked.pairs is not None
        before = _before(reader, loaded, asked.before)
        user, item, unknown = _numbers(asked.pairs, loaded, before)
        said = {"unknown_pairs": unknown}
    if before is not None and not _alike(before, loaded):
        raise IfruError(
            f"versions {before.manifest.version} and {loaded.manifest.version} do not have the same tables of users "
            "and items; take another version, or another one to measure the change from by --before"
        )
    pairs = ChosenPairs(user, item, torch.ones(len(user), dtype=torch.float64))
    now = pair_scores(loaded.manifest.model, loaded.serving, pairs)
    then = None if before is None else pair_scores(before.manifest.model, before.serving, pairs)
    measured = None if before is None else before.manifest.version
    return _Chosen(user, item, now, then, {"pairs": len(user), **said, "change_from": measured})


def _alike(one: Version, other: Version) -> bool:
    """Whether numbers of users and items mean the same in both."""
    sides = ((one.dataset.users, other.dataset.users), (one.dataset.items, other.dataset.items))
    return all(len(here) == len(there) for here, there in sides)


def _before(reader: Reader, loaded: Version, asked: int | None) -> Version | None:
    """The version that the change is measured from: the one asked for, else the parent, where it still exists."""
    if asked is not None:
        return reader.load(asked)
    if loaded.manifest.parent is None:
        return None
    try:
        parent = reader.load(loaded.manifest.parent)
    except NoVersion:
        return None
    return parent if _alike(parent, loaded) else None


def _numbers(path: Path, loaded: Version, before: Version | None) -> tuple[Tensor, Tensor, int]:
    """Users and items [M] of a file, each pair once, and how many of its pairs no version knows.

    Raises IfruError with the line that cannot be read.
    """
    known = [version.dataset for version in (loaded, before) if version is not None]
    found, unknown = set[int](), 0
    for user, item in _lines(path):
        rows = [
            next((row for ids in each if (row := ids.row(name)) is not None), None)
            for name, each in ((user, [data.users for data in known]), (item, [data.items for data in known]))
        ]
        if None in rows:
            unknown += 1
        else:
            found.add(int(rows[0] or 0) * loaded.dataset.train.items + int(rows[1] or 0))
    if not found:
        raise IfruError(f"{path}: none of its {unknown} pairs is known to version {loaded.manifest.version}")
    user_rows, item_rows = np.divmod(np.array(sorted(found)), loaded.dataset.train.items)
    return torch.from_numpy(user_rows), torch.from_numpy(item_rows), unknown


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise IfruError(f"{path}: cannot be read as CSV: {error}") from error
    if not rows or [name.strip() for name in rows[0][:2]] != ["user", "item"]:
        raise IfruError(f"{path}: the first line is to be 'user,item', the names of the columns")
    for number, row in enumerate(rows[1:], 2):
        if len(row) < 2:
            raise IfruError(f"{path}, line {number}: has {len(row)} column(s); a user and an item are due")
        yield row[0], row[1]
