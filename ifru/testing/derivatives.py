"""An objective's value and derivatives, against autograd in float64; and what deletions do to them."""

from __future__ import annotations

import numpy as np
import torch

from ifru.models import config_of
from ifru.testing.subject import EXACT, Subject, close, positions


class Derivatives(Subject):
    """Tests of `Model.objective`, of its points, and of scores."""

    def test_its_configuration_is_read_back_from_json(self) -> None:
        document = self.config.model_dump(mode="json")
        assert config_of(document) == self.config, (
            f"{document} is read as another configuration than it was written from"
        )

    def test_its_objective_lays_out_and_offers_what_the_model_says(self) -> None:
        table = self.data.train
        objective = self.objective(table)
        assert objective.layout == self.model.layout(table.users, table.items), "the layouts differ"
        assert objective.capabilities == self.model.capabilities, "the declared capabilities differ"
        theta = self.base.stacked()
        assert torch.equal(objective.layout.parameters(theta).stacked(), theta), "θ is another one after its layout"

    def test_scores_of_pairs_are_those_of_all_items(self) -> None:
        table, model = self.data.train, self.model
        serving = model.serving(self.base, table)
        users, before = torch.arange(0, table.users, 7), serving.item.clone()
        found = model.all_scores(serving.user[users], serving.item)
        for user, scores in zip(users, found, strict=True):
            alike = serving.user[user].expand(table.items, -1)
            close(scores, model.scores(alike, serving.item), "a row of all_scores")
        found += 1
        assert torch.equal(serving.item, before), "what all_scores returns shares its memory with the tables"
        none = model.scores(serving.user[:0], serving.item[:0])
        assert none.shape == (0,), f"the scores of no pairs have the shape {tuple(none.shape)}, not (0,)"

    def test_the_value_is_the_loss_and_the_penalty_of_the_scores(self) -> None:
        expected = float(self.value(self.away(), self.data.train))
        found = self.point().value
        assert abs(found - expected) <= EXACT * abs(expected), f"value is {found}; written out it is {expected}"

    def test_the_gradient_is_autograds(self) -> None:
        close(self.point().gradient, self.gradient(self.away(), self.data.train), "gradient")

    def test_a_product_with_the_hessian_is_autograds(self) -> None:
        theta = self.away()
        x = self.normal(theta)
        close(self.point().product(x), self.hessian_times(x, theta, self.data.train), "product")

    def test_a_step_leads_to_the_point_there_and_tells_the_change(self) -> None:
        start, table = self.point(), self.data.train
        theta, gradient = start.theta.clone(), start.gradient.clone()
        for length in (0.1, 1e-6):
            x = length * self.normal(theta)
            there, change = start.advance(x)
            close(there.theta, theta + x, "θ after advance")
            close(there.gradient, self.gradient(theta + x, table), "gradient after advance")
            # By the mean of the gradients along the step, since the difference of two values has not the digits.
            halves = [self.gradient(theta + share * x, table) for share in (0.0, 0.5, 1.0)]
            expected = float(((halves[0] + 4 * halves[1] + halves[2]) / 6 * x).sum())
            assert abs(change - expected) <= 1e-2 * length * abs(expected), f"advance tells {change}, it is {expected}"
        assert torch.equal(start.theta, theta), "advance has moved the point that it starts from"
        assert torch.equal(start.gradient, gradient), "advance has changed the gradient where it starts"

    def test_a_deletion_changes_the_gradient_by_what_it_tells(self) -> None:
        table = self.data.train
        objective = self.objective(table)
        point = objective.at(self.away())
        before, theta = point.gradient.clone(), point.theta.clone()
        rows = np.union1d(*(request.train for request in self.requests()))
        gone = table.delete(rows)
        change = objective.remove(point, gone)
        expected = self.gradient(theta, table)
        close(change.point.gradient, expected, "gradient after a deletion")
        told = before.index_add(0, change.rows, change.direct)
        close(told if change.spillover is None else told + change.spillover, expected, "what a deletion adds to ∇L")
        empty = torch.from_numpy(table.degree == 0)
        left = change.point.gradient[: len(empty)][empty]
        assert not bool(left.any()), f"rows without data have a gradient of norm {float(left.norm()):.3g}, not zero"

    def test_blocks_are_positive_definite_and_hold_their_factors(self) -> None:
        point, table = self.point(), self.data.train
        degree = torch.from_numpy(table.degree)
        rows = (degree > 0).nonzero()[:, 0]
        blocks, retained = point.blocks(rows), np.flatnonzero(table.alive)
        close(blocks, blocks.mT, "a block's transpose")
        lowest = float(torch.linalg.eigvalsh(blocks).min())
        assert lowest > 0, f"a block has the eigenvalue {lowest:.3g}; each must be positive"
        factors = point.factors(retained, retained)
        ends = torch.from_numpy(np.concatenate([table.user[retained], table.incidence.far[retained]]).astype(np.int64))
        summed = torch.zeros(len(degree), *blocks.shape[1:], dtype=torch.float64)
        summed.index_add_(0, ends, factors[:, :, None] * factors[:, None, :])
        lacking = float(torch.linalg.eigvalsh(blocks - summed[rows]).min())
        assert lacking > 0, f"a block less its factors has the eigenvalue {lacking:.3g}; the penalty is left of each"
        some = torch.from_numpy(positions(len(rows), 0.3))
        close(point.blocks(rows[some]), blocks[some], "blocks of some rows")
