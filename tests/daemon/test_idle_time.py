"""What the service does while no events come, and how a proof is computed beside it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from prometheus_client import Counter, Gauge
from structlog.testing import capture_logs

from ifru.evaluation.tightened import tightened
from ifru.models import MFConfig, ModelConfig, register
from ifru.models.ials import IALSConfig
from ifru.models.mf import MatrixFactorization
from ifru.models.proving import prove
from ifru.objective import Capabilities
from ifru.objective.parameters import Parameters
from ifru.proof import ProofError
from ifru.snapshots import Reader
from ifru.training import fit
from ifrud.pace import Pace
from ifrud.prover import Proven, Prover
from ifrud.streams.sources import Event
from ifrud.streams.sources.jsonl import JsonlSource
from tests.daemon.world import CONFIG, PATIENCE, World, erase_user
from tests.evaluation.test_dimensions import CONFIG as SADDLE
from tests.evaluation.test_dimensions import saddle

ALONE = {"max_requests": 1, "max_backlog": 1}


class UnprovableConfig(MFConfig):
    name: Literal["unprovable"] = "unprovable"  # type: ignore[assignment]


class Unprovable(MatrixFactorization):
    """Matrix factorisation that does not say that it can be proven."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, provable=False)


register(UnprovableConfig, Unprovable)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_idle_time_refines_the_newest_version_and_comes_to_an_end(world: World) -> None:
    world.submit(erase_user("r1", 3))
    world.idle(until=lambda: len(world.done()) == 3, refine=True, engine={"tolerance": 0.5})
    manifests = world.done()
    assert [manifest.residual.method for manifest in manifests[2:]] == ["global"]
    first, refined = manifests[1].residual.influence, manifests[2].residual.influence
    assert first is not None
    assert refined is not None
    assert refined < first
    assert (manifests[2].events, manifests[2].positions) == ((), manifests[1].positions)


FULL = 2


class Bursting(JsonlSource):
    """More requests come than a batch takes, while the model is refined: with none in hand, nobody waits then."""

    def __init__(self, world: World) -> None:
        super().__init__(world.folder / "events.jsonl", clock=time.time, wait=lambda seconds: None)
        self._world, self._burst = world, [erase_user(f"r{n}", n) for n in range(4, 9)]

    def poll(self, limit: int, timeout: float) -> list[Event]:
        assert limit > 0, "the client of Kafka refuses to be asked for no events"
        if limit == FULL and timeout == 0.0 and self._burst:
            self._world.submit(*self._burst)
            self._burst = []
        return super().poll(limit, timeout)


def test_a_batch_that_is_full_before_a_refinement_has_ended_is_processed_next(world: World) -> None:
    world.submit(erase_user("r1", 3))
    ticks = itertools.count()
    full = {"max_requests": FULL, "max_backlog": FULL}
    settings = {"refine": True, "refine_after_ms": 0, "engine": {"tolerance": 0.5}, "batch": full}
    service = world.service(source=Bursting(world), **settings)
    service = replace(service, now=lambda: next(ticks) / 100)
    service.run(lambda: len(world.receipts()) == 6, drain=False)
    assert [len(manifest.events) for manifest in world.done() if manifest.events] == [1, 2, 2, 1]


def test_idle_time_proves_the_newest_version_once(world: World) -> None:
    world.submit(erase_user("r1", 3))
    for _ in range(2):
        world.idle(until=lambda: "rms_bound" in world.newest().manifest.quality, prove=True)
    newest = world.newest()
    found = tightened(newest.parameters, newest.dataset.train, newest.manifest.model, random=torch.Generator())
    (proven,) = [manifest for manifest in world.done() if "rms_bound" in manifest.quality]
    assert (newest.manifest.claims, newest.manifest.quality) == (proven.version, proven.quality)
    assert newest.manifest.quality["rms_bound"] == pytest.approx(found.proof.rms_bound, rel=0.05)
    assert newest.manifest.quality["relative_gap"] == pytest.approx(found.proof.relative_gap, rel=0.1)
    assert 0.5 < newest.manifest.quality["auc"] <= 1
    assert (newest.manifest.events, newest.manifest.positions) == ((), proven.positions)


def test_idle_time_refines_and_proves_a_model_that_is_fitted_to_all_pairs(tmp_path: Path) -> None:
    world = World(tmp_path, config=IALSConfig(rank=CONFIG.rank, l2=12.0, alpha=2.0))
    world.submit(erase_user("r1", 3))
    world.idle(until=lambda: "rms_bound" in world.newest().manifest.quality, refine=True, prove=True)
    newest = world.newest()
    assert newest.manifest.quality["rms_bound"] < 0.01
    assert newest.dataset.train.user_degree[3] == 0
    assert [manifest.residual.method for manifest in world.done()][1:3] == ["global", "global"]


@pytest.mark.parametrize(("config", "provable"), [(CONFIG, True), (UnprovableConfig(rank=4, l2=0.1), False)])
def test_a_model_that_has_no_proof_is_not_proven_and_that_is_said_once_at_start(
    tmp_path: Path, config: ModelConfig, provable: bool
) -> None:
    world, prover = World(tmp_path, config=config), Prover()
    with capture_logs() as log:
        world.idle(prover=prover, prove=True)
    assert (prover.busy or "rms_bound" in world.newest().manifest.quality) == provable
    said = [line["event"] for line in log if "not proven" in line["event"]]
    assert said == ([] if provable else ["versions of this model are not proven: there is no proof for 'unprovable'"])
    prover.close()


_NO_OPENMP = """
import sys
from pathlib import Path
from ifrud.prover import Prover
from tests.daemon.world import World

world, prover = World(Path(sys.argv[1])), Prover()
world.idle(prover=prover, prove=True)
assert not prover.busy
assert "rms_bound" not in world.newest().manifest.quality
"""


def test_where_two_threads_may_not_run_compiled_loops_at_once_nothing_is_proven_and_that_is_said(
    tmp_path: Path,
) -> None:
    layer = {"NUMBA_THREADING_LAYER": "workqueue"}
    done = subprocess.run(
        [sys.executable, "-c", _NO_OPENMP, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | layer,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "install GNU OpenMP (libgomp1)" in done.stdout


def test_a_version_about_which_nothing_can_be_proven_is_told_once_and_the_daemon_goes_on(tmp_path: Path) -> None:
    world, reporter, prover = World(tmp_path, weights={0: -0.01}), World.reporter(), Prover()
    failures = reporter.metrics.proof_failures
    with capture_logs() as log:
        world.idle(until=lambda: value(failures) > 0, reporter=reporter, prover=prover, prove=True)
    assert (value(failures), prover.busy) == (1, False), "the same version was tried again"
    (warning,) = [line for line in log if line["log_level"] == "warning"]
    assert warning["event"].startswith(
        "nothing is proven about version 2: a retained interaction has a negative weight"
    )
    world.submit(erase_user("r1", 3))
    world.drain()
    assert len(world.done()) == 2


def test_what_is_published_is_the_bound_of_a_better_solution(world: World) -> None:
    config, dataset = MFConfig(rank=10, l2=0.3), world.newest().dataset
    stale = fit(dataset.train, config, seed=0, device=torch.device("cpu"), dtype=torch.float32).theta
    dataset.train.delete(np.arange(0, len(dataset.train), 50))
    tables = Parameters.unstacked(stale, dataset.train.users)
    prover = Prover()
    prover.start(1, config, tables, dataset)
    while (proven := prover.result()) is None or not proven.final:
        assert prover.busy
    prover.close()
    found = tightened(tables, dataset.train, config, random=torch.Generator())
    assert proven.quality["rms_bound"] == pytest.approx(found.proof.rms_bound, rel=0.01)
    assert proven.final
    assert proven.quality["rms_bound"] < 0.5 * found.own.rms_bound


def test_a_dimension_that_a_deletion_makes_the_optimum_need_is_found_among_those_that_the_model_has_to_spare() -> None:
    config, (dataset, stuck, free) = SADDLE, saddle()
    dual = prove(free, dataset.train, config, random=torch.Generator()).dual
    truth = prove(stuck, dataset.train, config, random=torch.Generator(), dual=dual)
    assert prove(stuck, dataset.train, config, random=torch.Generator()).gap > 3 * truth.gap
    prover = Prover()
    prover.start(1, config, stuck, dataset)
    while (proven := prover.result()) is None or not proven.final:
        assert prover.busy
    prover.close()
    assert proven.quality["relative_gap"] == pytest.approx(truth.relative_gap, rel=0.05)


@pytest.mark.parametrize("owes", [0.1, 0.0])
@pytest.mark.parametrize(("rank", "l2", "found"), [(2, 0.05, 1), (10, 0.3, 2)])
def test_while_events_come_what_gained_nothing_before_is_not_solved_for_again(
    world: World, rank: int, l2: float, found: int, owes: float
) -> None:
    """Where the rank is too small for a proof that closes, a better solution hardly gives a better bound."""
    config, dataset = MFConfig(rank=rank, l2=l2), world.newest().dataset
    tables = fit(dataset.train, config, seed=0, device=torch.device("cpu"), dtype=torch.float32).parameters
    if owes:
        dataset.train.delete(np.arange(3))
    prover, results = Prover(pace=Pace(wait=lambda event, seconds: None)), list[Proven]()
    # Of one that was only trained nothing needs to be known from before.
    for version in (1, 2, 3) if owes else (2, 3):
        if version == 2:
            prover.hold_back(0.5)
        else:
            prover.let_go()
        prover.start(version, config, tables, dataset, owes=owes)
        while prover.busy:
            if isinstance(proven := prover.result(), Proven):
                results.append(proven)
    prover.close()
    assert [proven.version for proven in results if proven.version != 1] == [*found * [2], 3, 3]
    assert [proven.final for proven in results if proven.version == 2] == [False, True][-found:]
    best, last = (min(each.quality["rms_bound"] for each in results if each.version == which) for which in (3, 2))
    assert last <= 1.1 * best


def test_a_proof_that_fails_is_told_to_whoever_asks_for_it(world: World) -> None:
    prover = Prover()
    prover.start(1, CONFIG, Parameters.of(torch.zeros(1, 4), torch.zeros(1, 4)), world.newest().dataset)
    with pytest.raises(ProofError):
        while prover.result() is None:
            pass
    prover.close()


def test_a_proof_that_is_given_up_ends_and_leaves_room_for_another(world: World) -> None:
    newest = world.newest()
    prover = Prover()
    for version in (1, 2):
        prover.start(version, CONFIG, newest.parameters, newest.dataset)
        if version == 1:
            prover.give_up()
            assert not prover.busy
            assert prover.result() is None
    while (proven := prover.result()) is None:
        assert prover.busy
    assert proven.version == 2
    prover.start(3, CONFIG, newest.parameters, newest.dataset)
    prover.close()
    assert prover.result() is None


@pytest.mark.parametrize(("share", "goes_on"), [(0.0, False), (0.5, True)])
def test_events_that_come_end_the_proof_of_the_version_before_them_unless_it_has_a_share_of_the_machine(
    world: World, share: float, goes_on: bool
) -> None:
    prover = Prover()
    prover.start(1, CONFIG, world.newest().parameters, world.newest().dataset)
    world.submit(erase_user("r1", 3))
    world.drain(prover=prover, prove_share=share)
    assert prover.busy == goes_on
    prover.close()


class Streaming(JsonlSource):
    """A request comes with every poll, as long as there are users and it is not the end."""

    def __init__(self, world: World) -> None:
        super().__init__(world.folder / "events.jsonl", clock=time.time, wait=lambda seconds: None)
        self._world, self._polls = world, itertools.count()
        self.ended = False

    def poll(self, limit: int, timeout: float) -> list[Event]:
        if not self.ended:
            number = next(self._polls)
            self._world.submit(erase_user(f"r{number}", number % 30))
        return super().poll(limit, timeout)


def test_while_events_come_an_older_version_is_proven_and_the_next_one_says_so(world: World) -> None:
    source, prover, reporter, ticks = Streaming(world), Prover(), World.reporter(), itertools.count()
    end = time.monotonic() + PATIENCE

    def stop() -> bool:
        assert time.monotonic() < end
        found = world.newest().manifest.proof
        return found is not None and found.version > 2

    service = world.service(source=source, prover=prover, reporter=reporter, prove=True, prove_share=1, batch=ALONE)
    replace(service, now=lambda: float(next(ticks))).run(stop, drain=False)
    newest = world.newest().manifest
    proof = newest.proof
    assert proof is not None
    of = next(manifest for manifest in world.manifests() if manifest.version == proof.version)
    assert (proof.time, "rms_bound" in newest.quality, proof.version < newest.version) == (of.time, False, True)
    metrics = reporter.metrics
    assert (value(metrics.proof_version), value(metrics.rms_bound)) == (proof.version, proof.rms_bound)
    assert value(metrics.proof_age) > 0
    before = Reader(world.store).load(proof.version)
    found = tightened(before.parameters, before.dataset.train, CONFIG, random=torch.Generator())
    assert proof.rms_bound <= found.own.rms_bound * 1.01
    prover.close()


def test_a_bound_of_an_older_version_is_known_until_there_is_another(world: World) -> None:
    world.idle(until=lambda: "rms_bound" in world.newest().manifest.quality, prove=True)
    proven = world.newest().manifest
    world.submit(erase_user("r1", 3))
    world.drain()
    reporter = World.reporter()
    world.drain(reporter=reporter)
    newest = world.newest().manifest
    assert (newest.proof, newest.quality) == (proven.proof, {})
    assert proven.proof is not None
    assert value(reporter.metrics.rms_bound) == proven.quality["rms_bound"] == proven.proof.rms_bound
    assert value(reporter.metrics.proof_version) == proven.proof.version < proven.version


def value(metric: Counter | Gauge) -> float:
    """The first number of a metric."""
    return next(sample.value for sample in metric.collect()[0].samples if not sample.name.endswith("_created"))
