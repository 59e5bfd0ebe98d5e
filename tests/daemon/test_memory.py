"""How a limit of memory is divided."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from prometheus_client import Counter
from structlog.testing import capture_logs

from ifru.curvature.cache import CurvatureCache
from ifru.curvature.factors import factor_counts, most_factors
from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import split
from ifru.models import MFConfig, model_of
from ifru.models.ials import IALSConfig
from ifru.objective.parameters import Parameters
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


RANK = 128
MF = MFConfig(rank=RANK, l2=0.1)


@cache
def large() -> tuple[Parameters, Dataset]:
    """A model whose curvature takes 260 MiB."""
    dataset = split(generate(3000, 3000, 200_000, 0), LabelRule.parse("rating>=4"), holdout=0.1, seed=0)
    return Parameters.of(torch.zeros(3000, RANK), torch.zeros(3000, RANK)), dataset


def limited(total: int, taken: int = 600 * MIB, most: int = MOST) -> Memory:
    return Memory(total, most, lambda: taken)


def test_without_a_limit_everything_is_as_it_was_set(version: Version) -> None:
    memory = Memory(None, 123)
    assert memory.for_cache(version.manifest.model, version.parameters, version.dataset) == 123
    assert memory.for_proof(version.manifest.model, version.parameters, version.dataset) == 123


@pytest.mark.parametrize(
    ("mib", "curvature", "proves"),
    [
        (850, 0, False),
        (1000, 0.45, False),
        (1200, 1, False),
        # Half of what is of use to answers comes before a proof, and the other half after it.
        (1300, 0.7, True),
        (1400, 1, True),
        (4096, 1, True),
    ],
)
def test_answers_come_before_proofs_and_both_fit_into_the_limit(mib: int, curvature: float, proves: bool) -> None:
    """curvature: the least share of what is of use that has room."""
    parameters, dataset = large()
    degree = dataset.train.degree
    many, few = int((degree > RANK // 4).sum()), int(degree[degree <= RANK // 4].sum())
    blocks, gram = 4 * RANK * RANK * many, 4 * RANK * few
    memory = limited(mib * MIB)
    cache = memory.for_cache(MF, parameters, dataset)
    inverses = min(blocks, cache) + min(gram, cache)
    assert inverses >= curvature * (blocks + gram)
    try:
        proof = memory.for_proof(MF, parameters, dataset)
    except ProofTooLarge:
        proof = None
    assert (proof is not None) == proves
    assert 600 * MIB + inverses + (proof or 0) <= USABLE * mib * MIB


def test_rows_of_few_interactions_have_room_where_their_blocks_are_not_made_of_these_alone() -> None:
    parameters, dataset = large()
    config = IALSConfig(rank=RANK, l2=0.1, alpha=0.5)
    objective = model_of(config).objective(dataset.train, torch.device("cpu"), torch.float32)
    blocks = 4 * RANK * RANK * int((factor_counts(objective) > most_factors(RANK, objective.capabilities)).sum())
    assert blocks > 1.1 * 4 * RANK * RANK * int((dataset.train.degree > RANK // 4).sum())
    memory = limited(4096 * MIB)
    cache = memory.for_cache(config, parameters, dataset)
    assert CurvatureCache(objective, cache).capacity * 4 * RANK * RANK == blocks


def test_no_share_is_larger_than_what_was_set(version: Version) -> None:
    memory = limited(64 * GIB, most=100 * MIB)
    assert memory.for_cache(version.manifest.model, version.parameters, version.dataset) == 100 * MIB
    assert memory.for_proof(version.manifest.model, version.parameters, version.dataset) == 100 * MIB


def test_a_second_engine_gets_what_the_first_one_got(version: Version) -> None:
    taken = iter([600 * MIB, 1100 * MIB])
    memory = Memory(2 * GIB, MOST, lambda: next(taken))
    first = memory.for_cache(version.manifest.model, version.parameters, version.dataset)
    assert memory.for_cache(version.manifest.model, version.parameters, version.dataset) == first


def test_what_remembered_requests_come_to_take_is_taken_from_the_proof(version: Version) -> None:
    memory = limited(2 * GIB)
    memory.for_cache(version.manifest.model, version.parameters, version.dataset)
    before = memory.for_proof(version.manifest.model, version.parameters, version.dataset)
    memory.remembered = lambda: 200 * MIB
    assert memory.for_proof(version.manifest.model, version.parameters, version.dataset) == pytest.approx(
        before - 200 * MIB
    )


def test_a_model_that_hardly_fits_is_served_all_the_same(version: Version) -> None:
    assert limited(GIB, taken=2 * GIB).for_cache(version.manifest.model, version.parameters, version.dataset) == 1


def test_a_proof_that_would_not_fit_is_not_tried_and_is_told_once_a_version(world: World) -> None:
    reporter, memory = world.reporter(), limited(700 * MIB)
    prover = Prover(memory)
    failures = reporter.metrics.proof_failures
    with capture_logs() as log:
        world.idle(until=lambda: value(failures) > 0, reporter=reporter, prover=prover, prove=True)
    assert (value(failures), prover.busy) == (1, False)
    (warning,) = [line["event"] for line in log if line["log_level"] == "warning"]
    assert "a proof takes about 128 MiB, and about 30 MiB are left of 700 MiB" in warning


def value(counter: Counter) -> float:
    return next(sample.value for sample in counter.collect()[0].samples if sample.name.endswith("_total"))
