"""Losses: derivatives against autograd, and what conjugates and distance bounds promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ifru.objective.losses import LossName, loss_of, mean_slope
from tests.objective.dense_reference import numerical

LOSSES = pytest.mark.parametrize("name", ["bce", "squared"])
SCORES = st.floats(-20, 20)
LABELS = st.floats(0, 1)


def number(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


@LOSSES
@numerical
@given(score=SCORES, label=LABELS)
def test_slope_and_curvature_are_autograds(name: LossName, score: float, label: float) -> None:
    loss, s, y = loss_of(name), number(score).requires_grad_(), number(label)
    (slope,) = torch.autograd.grad(loss.value(s, y).sum(), s, create_graph=True)
    torch.testing.assert_close(loss.slope(s, y), slope, rtol=1e-8, atol=1e-8)
    (curvature,) = torch.autograd.grad(loss.slope(s, y).sum(), s)
    torch.testing.assert_close(loss.curvature(s, y), curvature, rtol=1e-8, atol=1e-8)


@LOSSES
@numerical
@given(start=SCORES, way=SCORES | st.floats(-1e-4, 1e-4), label=LABELS)
def test_a_mean_slope_is_the_mean_over_the_way(name: LossName, start: float, way: float, label: float) -> None:
    loss, y = loss_of(name), number(label)
    places, shares = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(100))
    expected = (shares / 2 * loss.slope(start + (1 + places) / 2 * way, y)).sum()
    found = mean_slope(loss, number(start), number(start + way), y)
    assert float(found) == pytest.approx(float(expected), abs=1e-9)
    rough = mean_slope(loss, number(start).float(), number(start + way).float(), y.float())
    assert float(rough) == pytest.approx(float(expected), rel=1e-3, abs=1e-4)


@LOSSES
@numerical
@given(label=st.floats(0.01, 0.99))
def test_a_link_is_the_score_where_the_loss_is_least(name: LossName, label: float) -> None:
    loss, y = loss_of(name), number(label)
    assert float(loss.slope(loss.link(y), y)) == pytest.approx(0, abs=1e-12)


@LOSSES
@numerical
@given(score=SCORES, other=SCORES, label=LABELS, share=st.floats(0, 1))
def test_conjugate_bounds_every_score_and_is_met_at_its_own(
    name: LossName, score: float, other: float, label: float, share: float
) -> None:
    loss, s, y = loss_of(name), number(score), number(label)
    dual = loss.slope(s, y)
    assert float(loss.conjugate(dual, y)) == pytest.approx(float(dual * s - loss.value(s, y)), abs=1e-6)
    scaled = share * dual
    best_at_other = float(scaled * other - loss.value(number(other), y))
    assert float(loss.conjugate(scaled, y)) >= best_at_other - 1e-9


@LOSSES
@numerical
@given(score=SCORES, best=SCORES, label=LABELS)
def test_distance_bound_is_never_below_the_distance_in_predictions(
    name: LossName, score: float, best: float, label: float
) -> None:
    loss, s, minimiser, y = loss_of(name), number(score), number(best), number(label)
    divergence = loss.value(s, y) - loss.value(minimiser, y) - loss.slope(minimiser, y) * (s - minimiser)
    predict = torch.sigmoid if name == "bce" else torch.clone
    distance = float((predict(s) - predict(minimiser)).abs())
    assert loss.distance_bound(float(divergence), 1.0, 1) >= distance - 1e-7


@LOSSES
def test_distance_bound_of_a_gap_lost_in_rounding_is_zero(name: LossName) -> None:
    assert loss_of(name).distance_bound(-1e-16, 1.0, 10) == 0.0
