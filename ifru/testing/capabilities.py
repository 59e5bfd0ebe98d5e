"""Every capability that a model declares holds; what it does not declare is skipped."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from ifru.interactions import Deletion
from ifru.kernels.dispatch import torch_only
from ifru.models.proving import prove
from ifru.objective import Bipartite, Linearised, RowLocal
from ifru.testing.subject import Subject, close, needs, positions

_SEEDS_AGREE = 1e-4
_CLOSED = 1e-6


class DeclaredCapabilities(Subject):
    """Tests of `Capabilities`."""

    def test_compiled_loops_say_what_torch_says(self) -> None:
        needs(self, "compiled")
        theta = self.away()
        x = self.normal(theta)
        with torch_only():
            plain = self.point()
            gradient, product, (there, change) = plain.gradient, plain.product(x), plain.advance(x)
        point = self.point()
        close(point.gradient, gradient, "the compiled gradient")
        close(point.product(x), product, "the compiled product")
        ours, moved = point.advance(x)
        close(ours.gradient, there.gradient, "the compiled gradient after a step")
        assert abs(moved - change) <= 1e-8 * abs(change), f"the compiled change is {moved}, that of torch {change}"

    def test_exact_blocks_are_the_hessians(self) -> None:
        needs(self, "exact_blocks")
        theta, table = self.away(), self.data.train
        rows = torch.from_numpy(np.flatnonzero(table.degree)[::9])
        for row, block in zip(rows, self.point().blocks(rows), strict=True):
            columns = []
            for column in range(theta.shape[1]):
                unit = torch.zeros_like(theta)
                unit[row, column] = 1
                columns.append(self.hessian_times(unit, theta, table)[row])
            close(block, torch.stack(columns, dim=1), "a block")

    def test_own_blocks_are_their_factors_and_the_penalty(self) -> None:
        needs(self, "own_blocks")
        point, table = self.point(), self.data.train
        rows, retained = torch.from_numpy(np.flatnonzero(table.degree)), np.flatnonzero(table.alive)
        ridge = point.objective.ridge[: len(table.degree)]
        summed = torch.diag_embed(ridge[:, None].expand(-1, point.theta.shape[1])).contiguous()
        factors = point.factors(retained, retained)
        ends = torch.from_numpy(np.concatenate([table.user[retained], table.incidence.far[retained]]).astype(np.int64))
        summed.index_add_(0, ends, factors[:, :, None] * factors[:, None, :])
        close(summed[rows], point.blocks(rows), "the sum of a row's factors and penalty")

    def test_rows_of_one_side_are_not_coupled(self) -> None:
        needs(self, "bipartite")
        theta, table = self.away(), self.data.train
        point, x, users = cast("Bipartite", self.point()), self.normal(theta), table.users
        sides = slice(users), slice(users, None)
        for mine, other, of_users in ((*sides, True), (*sides[::-1], False)):
            inside = torch.zeros_like(x)
            inside[mine] = x[mine]
            close(point.cross(x[mine], of_users), self.hessian_times(inside, theta, table)[other], "cross")
            # Every other row of the side has a part of its own alone.
            odd = inside.clone()
            odd[::2] = 0
            apart = self.hessian_times(odd, theta, table)[mine][odd[mine].any(1) == 0]
            assert not bool(apart.any()), "a row's step changes the gradient of another row of its side"

    def test_local_gradients_follow_moves_exactly(self) -> None:
        point, x = self._local()
        rows = self._rows()
        before = point.theta[rows].clone()
        point.theta[rows] += x[rows]
        point.update(rows, before)
        close(point.gradient, self._anew(point), "the gradient after update")
        users = self.data.train.users
        for side in (rows[rows < users], rows[rows >= users]):
            before = point.theta[side].clone()
            point.theta[side] -= 0.5 * x[side]
            point.update_side(side, before, 0.0)
            close(point.gradient, self._anew(point), "the gradient after update_side")

    def test_a_support_sees_the_hessian_of_its_rows(self) -> None:
        point, x = self._local()
        rows = self._rows()
        inside = torch.zeros_like(x).index_copy(0, rows, x[rows])
        found = torch.einsum("skj,sj->sk", point.blocks(rows), x[rows]) + point.coupling(rows).product(x[rows])
        close(found, point.product(inside)[rows], "blocks and coupling of a support")

    def test_steps_of_one_side_reach_the_neighbours_that_it_names(self) -> None:
        point, x = self._local()
        rows, users = self._rows(), self.data.train.users
        for of_users in (True, False):
            side = rows[(rows < users) == of_users]
            inside = torch.zeros_like(x).index_copy(0, side, x[side])
            other = slice(users, None) if of_users else slice(users)
            expected = torch.zeros_like(x)
            expected[other] = point.product(inside)[other]
            near, added, _ = point.gradient_along(side, x[side])
            close(torch.zeros_like(x).index_copy(0, near, added), expected, "gradient_along")
            listed, met = point.neighbours(side)
            assert set(near.tolist()) <= set(listed.tolist()), "neighbours lacks rows that a step reaches"
            assert bool((met <= torch.from_numpy(self.data.train.degree)[listed]).all()), "neighbours counts too many"

    def test_a_proof_is_never_better_than_the_truth(self) -> None:
        needs(self, "provable")
        table, theta = self.data.train, self.base.stacked()
        random = torch.Generator().manual_seed(0)
        layout = self.model.layout(table.users, table.items)
        optimum = self.objective(table).at(theta).value
        has_data = torch.from_numpy(table.degree > 0)[:, None]
        for length in (1.0, 0.1, 1e-3, 0.0):
            at = theta + length * self.normal(theta) * has_data
            found = prove(layout.parameters(at), table, self.config, random=random)
            value = self.objective(table).at(at).value
            assert abs(found.objective - value) <= 1e-8 * value, f"it proves L = {found.objective}, which is {value}"
            assert found.dual_value <= optimum * (1 + 1e-12), f"it proves L ≥ {found.dual_value}, and {optimum} is had"
            true = self._distance(at, theta)
            assert true <= found.rms_bound, f"it proves a distance of {found.rms_bound:.3g}, which is {true:.3g}"
        assert found.relative_gap <= _CLOSED, (
            f"the gap at the trained model is {found.relative_gap:.3g} of L: take a larger rank or l2 for this test"
        )

    def test_seeds_end_in_the_same_scores(self) -> None:
        needs(self, "unique_target")
        table = self.data.train
        other = self.trained(table, 1)
        close(self.served(other, table), self.served(self.base, table), "the scores from another seed", _SEEDS_AGREE)

    def test_a_refined_update_scores_like_the_retrained_model(self) -> None:
        needs(self, "unique_target")
        engine = self.engine()
        base = self.served(self.base, self.data.train)
        engine.apply(Deletion.union(self.requests()))
        engine.refine()
        table = engine.dataset.train
        retrained = self.served(self.trained(table.copy(), 1), table)
        left = float((self.served(engine.parameters, table) - retrained).norm() / (base - retrained).norm())
        assert left <= self.within, f"an update leaves {left:.3g} of what retraining changes"

    def _local(self) -> tuple[RowLocal, Tensor]:
        needs(self, "row_local")
        point = self.point()
        return cast("RowLocal", point), 0.3 * self.normal(point.theta)

    def _rows(self) -> Tensor:
        degree = self.data.train.degree
        rows = positions(len(degree), 0.3)
        return torch.from_numpy(rows[degree[rows] > 0])

    def _anew(self, point: Linearised) -> Tensor:
        return self.objective(self.data.train).at(point.theta).gradient

    def _distance(self, theta: Tensor, optimum: Tensor) -> float:
        """RMS of the difference in prediction over the terms of the loss."""
        table = self.data.train
        found = [self.terms(self.scores(at, table), table)[self.counted(table)] for at in (theta, optimum)]
        if self.config.loss != "squared":
            found = [score.sigmoid() for score in found]
        return float((found[0] - found[1]).square().mean().sqrt())
