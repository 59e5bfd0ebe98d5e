"""An objective's value and derivatives, against autograd in float64; and what deletions do to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.models import config_of
from ifru.models.quality import scorer
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
        table = self.data.train
        serving = self.model.serving(self.base, table)
        model = scorer(self.config, serving)
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
        start = self.point()
        theta, gradient = start.theta.clone(), start.gradient.clone()
        for length in (0.1, 1e-6):
            x = length * self.normal(theta)
            there, change = start.advance(x)
            close(there.theta, theta + x, "θ after advance")
            # By the mean of the gradients along the step, since the difference of two values has not the digits.
            ahead = [self._ahead(theta, share * x) for share in (0.0, 0.5, 1.0)]
            close(there.gradient, ahead[2], "gradient after advance")
            expected = float(((ahead[0] + 4 * ahead[1] + ahead[2]) / 6 * x).sum())
            wrong = abs(change - expected)
            if self.model.capabilities.response:
                # Where L bends more than the model of a response, a step may be told to be worse than that model says.
                wrong = expected - change
            assert wrong <= 1e-2 * length * abs(expected), f"advance tells {change}, it is {expected}"
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
        empty = torch.from_numpy(table.degree == 0)
        # A model may count on it that rows without data are cleared.
        theta[: len(empty)][empty] = 0
        if self.model.capabilities.response:
            expected = before + self.response(self.away(), self.data.train, table)
            expected[: len(empty)][empty] = 0
        else:
            expected = self.gradient(theta, table)
        close(change.point.gradient, expected, "gradient after a deletion")
        told = before.index_add(0, change.rows, change.direct)
        told = told if change.spillover is None else told + change.spillover
        told[: len(empty)][empty] = 0
        close(told, expected, "∇L and what a deletion is told to add to it")
        left = change.point.gradient[: len(empty)][empty]
        assert not bool(left.any()), f"rows without data have a gradient of norm {float(left.norm()):.3g}, not zero"

    def test_corrected_labels_change_the_gradient_and_the_blocks_as_it_tells(self) -> None:
        table, theta = self.data.train, self.away()
        objective, rows = self.objective(table), positions(len(table), 0.1)
        table.relabel(rows, 1 - table.label[rows])
        if self.config.loss == "bpr":
            with pytest.raises(ValueError, match="label"):
                objective.relabel(rows)
            return
        some = torch.from_numpy(np.flatnonzero(table.degree))
        before = objective.at(theta).blocks(some)
        others = objective.relabel(rows)
        point = objective.at(theta)
        close(point.gradient, self.gradient(theta, table), "gradient after labels were corrected")
        if not others:
            close(point.blocks(some), before, "blocks that corrected labels are told to leave as they are")

    def test_blocks_are_positive_definite(self) -> None:
        point, rows = self.point(), torch.from_numpy(np.flatnonzero(self.data.train.degree))
        blocks = point.blocks(rows)
        close(blocks, blocks.mT, "a block's transpose")
        lowest = float(torch.linalg.eigvalsh(blocks).min())
        assert lowest > 0, f"a block has the eigenvalue {lowest:.3g}; each must be positive"
        some = torch.from_numpy(positions(len(rows), 0.3))
        close(point.blocks(rows[some]), blocks[some], "blocks of some rows")

    def _ahead(self, theta: Tensor, x: Tensor) -> Tensor:
        """The gradient [R, K] after a step: of a response, that of its quadratic model."""
        if self.model.capabilities.response:
            return self.gradient(theta, self.data.train) + self.hessian_times(x, theta, self.data.train)
        return self.gradient(theta + x, self.data.train)
