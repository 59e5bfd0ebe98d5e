"""What an engine does with a model: updates, batches, rows that lose all data, versions, devices."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.engine.engine import Engine
from ifru.interactions import Deletion
from ifru.objective.parameters import Parameters
from ifru.snapshots import Change, FullState, Reader, Residual, Version, Writer, open_store
from ifru.snapshots.debt import debt_buffers, debt_of
from ifru.testing.subject import Subject, close

_RESIDUAL = Residual(
    influence=None, settled=None, total=0.0, batch_energy=0.0, added_energy=0.0, method="training", reason="stationary"
)


_BATCHES_APART = 0.4
"""What `within` is of a response, which answers each batch by one linear system where the batch finds the model."""


class Forgetting(Subject):
    """Tests of `Engine` on this model, and of its versions."""

    def test_an_update_lowers_the_gradient(self) -> None:
        engine, deletion = self.engine(tolerance=0.05), Deletion.union(self.requests())
        before = self.engine(tolerance=0.05).state
        before.remove(before.objective.interactions.delete(deletion.train))
        debt = float(before.point.gradient.norm())
        update = engine.apply(deletion)
        engine.settle()
        left = engine.state.point.gradient
        if not self.model.capabilities.response:
            anew = self.objective(engine.dataset.train).at(engine.parameters.stacked()).gradient
            close(left, anew, "the engine's gradient", 1e-6)
        assert float(left.norm()) < 0.5 * debt, f"the gradient's norm is {float(left.norm()):.3g} after {debt:.3g}"
        assert update.influence <= 0.05, f"the update leaves {update.influence:.3g} and ends with {update.reason!r}"

    def test_the_order_and_the_batching_of_deletions_do_not_matter(self) -> None:
        one, other = self.requests()
        base = self.served(self.base, self.data.train)
        ends = [self._scores_after(order) for order in ((one, other), (other, one), (Deletion.union((one, other)),))]
        whole = float((ends[0] - base).norm())
        assert whole > 0, "the deletions change no score"
        within = _BATCHES_APART if self.model.capabilities.response else self.within
        for end in ends[1:]:
            apart = float((end - ends[0]).norm()) / whole
            assert apart <= within, f"scores end apart by {apart:.3g} of what forgetting changes"

    def test_an_empty_request_changes_nothing(self) -> None:
        engine = self.engine()
        before, gradient = engine.parameters.stacked(), engine.state.point.gradient.clone()
        update = engine.apply(Deletion.nothing())
        assert len(update.parameters) == len(update.deletion) == 0, "an update of nothing lists parameters or rows"
        assert torch.equal(engine.parameters.stacked(), before), "a request for nothing has moved parameters"
        assert torch.equal(engine.state.point.gradient, gradient), "a request for nothing has changed the gradient"

    def test_what_is_deleted_already_is_passed_over(self) -> None:
        engine, (_, rows) = self.engine(), self.requests()
        engine.apply(rows)
        before = engine.parameters.stacked()
        update = engine.apply(rows)
        assert len(update.deletion) == 0, f"{len(update.deletion)} rows were deleted twice"
        assert torch.equal(engine.parameters.stacked(), before), "to delete rows twice has moved parameters twice"

    def test_a_row_without_data_is_zero(self) -> None:
        engine, (whole, _) = self.engine(), self.requests()
        user = int(engine.dataset.train.user[whole.train[0]])
        update = engine.apply(whole)
        engine.refine()
        row, gradient = engine.parameters.user[user], engine.state.point.gradient[user]
        assert not bool(row.any()), f"a user without data has a row of norm {float(row.norm()):.3g}"
        assert not bool(gradient.any()), f"a user without data has a gradient of norm {float(gradient.norm()):.3g}"
        assert user in update.parameters.tables["user"][0], "the update does not list the row that lost all data"
        assert engine.dataset.users.name(user) is None, "a user without data has kept the external id"

    def test_versions_read_back_what_was_written(self, tmp_path: Path) -> None:
        store, attempts = open_store(tmp_path.as_uri()), count()
        writer = Writer(store, lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: f"attempt-{next(attempts)}")
        engine = self.engine()
        whole = FullState(self.config, engine.parameters, engine.dataset, engine.serving, _buffers(engine))
        first = writer.start(whole, {}, _RESIDUAL)
        self._is_that_of(engine, Reader(store).load())
        update = engine.apply(Deletion.union(self.requests()))
        change = Change(update.parameters, update.deletion, {}, (), _RESIDUAL, serving=engine.serving)
        writer.commit(first, replace(change, buffers=_buffers(engine)))
        self._is_that_of(engine, Reader(store).load())

    def test_a_gpu_computes_what_the_cpu_does(self) -> None:
        if not torch.cuda.is_available():
            pytest.skip("there is no GPU")
        theta, gpu = self.away(), torch.device("cuda")
        ours, theirs = self.point(), self.objective(self.data.train, gpu).at(theta.to(gpu))
        x = self.normal(theta)
        close(theirs.gradient, ours.gradient, "the gradient on the GPU")
        close(theirs.product(x.to(gpu)), ours.product(x), "the product on the GPU")
        ends = [self._scores_after(self.requests(), device) for device in ("cuda", "cpu")]
        changed = ends[1] - self.served(self.base, self.data.train)
        close(changed + ends[0] - ends[1], changed, "what an update changes on the GPU", self.within)

    def _scores_after(self, requests: tuple[Deletion, ...], device: str = "cpu") -> Tensor:
        engine = self.engine(device=device)
        for deletion in requests:
            engine.apply(deletion)
        engine.refine()
        return self.served(engine.parameters, engine.dataset.train)

    def _is_that_of(self, engine: Engine, version: Version) -> None:
        assert version.manifest.model == self.config, f"the version has the configuration {version.manifest.model!r}"
        _equal(version.parameters, engine.parameters)
        _equal(version.serving, engine.serving or engine.parameters)
        debt = debt_of(version)
        assert (debt is None) == (engine.debt is None), "the version lacks what is owed"
        if debt is not None and engine.debt is not None:
            _equal(debt, engine.debt)
        ours, theirs = engine.dataset.train.columns(), version.dataset.train.columns()
        assert np.array_equal(ours.user, theirs.user), "the version has other users' rows than the engine"
        assert np.array_equal(ours.item, theirs.item), "the version has other items' rows than the engine"


def _buffers(engine: Engine) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in debt_buffers(engine.debt).items()}


def _equal(read: Parameters, written: Parameters) -> None:
    """Raises AssertionError where versions, which hold single precision, say something else than was written."""
    for kind in ("tables", "shared"):
        found, expected = getattr(read, kind), getattr(written, kind)
        assert found.keys() == expected.keys(), f"the version's {kind} are {list(found)}, not {list(expected)}"
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor.float()), (
                f"{name!r} was read back as another tensor than was written"
            )
