"""Every capability that a model declares holds; what it does not declare is skipped."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from ifru.interactions import Deletion
from ifru.kernels.dispatch import torch_only
from ifru.models.proving import prove
from ifru.objective import Linearised, RowLocal
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
            mine = inside[:users] if of_users else inside[users:]
            close(point.cross(mine, of_users), expected[other], "cross")
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
        """RMS of the difference in prediction over the retained pairs."""
        table = self.data.train
        found = [self.scores(at, table)[torch.from_numpy(table.alive)] for at in (theta, optimum)]
        if self.config.loss != "squared":
            found = [score.sigmoid() for score in found]
        return float((found[0] - found[1]).square().mean().sqrt())
