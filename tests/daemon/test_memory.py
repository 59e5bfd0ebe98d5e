"""How a limit of memory is divided."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import Counter
from structlog.testing import capture_logs

from ifru.snapshots import Version
from ifrud.memory import USABLE, Memory, ProofTooLarge
from ifrud.prover import Prover
from tests.daemon.world import World

GIB, MIB = 1 << 30, 1 << 20
MOST = 1 << 40


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def version(world: World) -> Version:
    return world.newest()


def limited(total: int, taken: int = 600 * MIB, most: int = MOST) -> Memory:
    return Memory(total, most, lambda: taken)


def test_without_a_limit_everything_is_as_it_was_set(version: Version) -> None:
    memory = Memory(None, 123)
    assert memory.for_cache(version.parameters, version.dataset) == 123
    assert memory.for_proof(version.parameters, version.dataset) == 123


@pytest.mark.parametrize(("mib", "proves"), [(800, False), (900, False), (1100, True), (2048, True), (16384, True)])
def test_cache_solve_and_proof_fit_into_the_limit_with_what_is_taken(version: Version, mib: int, proves: bool) -> None:
    memory = limited(mib * MIB)
    cache = memory.for_cache(version.parameters, version.dataset)
    try:
        proof = memory.for_proof(version.parameters, version.dataset)
    except ProofTooLarge:
        proof = 0
    assert cache > 0
    assert 600 * MIB + 2 * cache + proof <= USABLE * mib * MIB
    assert (proof > 0) == proves


def test_no_share_is_larger_than_what_was_set(version: Version) -> None:
    memory = limited(64 * GIB, most=100 * MIB)
    assert memory.for_cache(version.parameters, version.dataset) == 100 * MIB
    assert memory.for_proof(version.parameters, version.dataset) == 100 * MIB


def test_a_second_engine_gets_what_the_first_one_got(version: Version) -> None:
    taken = iter([600 * MIB, 1100 * MIB])
    memory = Memory(2 * GIB, MOST, lambda: next(taken))
    first = memory.for_cache(version.parameters, version.dataset)
    assert memory.for_cache(version.parameters, version.dataset) == first


def test_what_remembered_requests_come_to_take_is_taken_from_the_proof(version: Version) -> None:
    memory = limited(2 * GIB)
    memory.for_cache(version.parameters, version.dataset)
    before = memory.for_proof(version.parameters, version.dataset)
    memory.remembered = lambda: 200 * MIB
    assert memory.for_proof(version.parameters, version.dataset) == pytest.approx(before - 200 * MIB)


def test_a_model_that_hardly_fits_is_served_all_the_same(version: Version) -> None:
    assert limited(GIB, taken=2 * GIB).for_cache(version.parameters, version.dataset) == 1


def test_a_proof_that_would_not_fit_is_not_tried_and_is_told_once_a_version(world: World) -> None:
    reporter, memory = world.reporter(), limited(700 * MIB)
    prover = Prover(memory)
    failures = reporter.metrics.proof_failures
    with capture_logs() as log:
        world.idle(until=lambda: value(failures) > 0, reporter=reporter, prover=prover, prove=True)
    assert (value(failures), prover.busy) == (1, False)
    (warning,) = [line["event"] for line in log if line["log_level"] == "warning"]
    assert "a proof takes about 192 MiB, and about 30 MiB are left of 700 MiB" in warning


def value(counter: Counter) -> float:
    return next(sample.value for sample in counter.collect()[0].samples if sample.name.endswith("_total"))
