"""A small model, and small things to forget."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from benchmarks.base import Base, trained
from benchmarks.cases import Case, build
from benchmarks.kept import Kept
from benchmarks.methods import METHODS, Budget, Point
from benchmarks.setups import Setup
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split


@pytest.fixture(scope="session")
def base() -> Base:
    dataset = split(generate(200, 120, 6000, seed=7), LabelRule.parse("rating>=4"), 0.2, seed=0)
    return trained("tiny", Setup(None, rank=10, l2=0.15), dataset, 0, Kept())


@pytest.fixture(scope="session")
def case_of(base: Base) -> Callable[[str], Case]:
    return lambda name: build(name, base, 0, Kept())


@pytest.fixture(scope="session")
def rows(case_of: Callable[[str], Case]) -> Case:
    return case_of("rows:20")


@pytest.fixture(scope="session")
def users(case_of: Callable[[str], Case]) -> Case:
    return case_of("users:3")


@pytest.fixture(scope="session")
def budget() -> Budget:
    return Budget(seconds=10.0, repeats=1, coarse=True)


@pytest.fixture(scope="session")
def points_of(budget: Budget) -> Callable[[str, Case], list[Point]]:
    """(method, case) -> its points; each is run once."""

    @cache
    def run(name: str, case: Case) -> list[Point]:
        return list(METHODS[name](case, budget))

    return run
