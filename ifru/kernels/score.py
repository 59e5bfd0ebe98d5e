"""What compiled loops do to one interaction, or to its two rows (numba, CPU), and the arguments that these loops share.

s = Σ_{k < rank} p_k q_k (+ p_rank + q_rank with biases). Loss codes: 0 is binary cross-entropy with logits, 1 is half
the squared error, 2 is ½w·s² − y·s, whose w may be negative. d1, d2: first and second derivative of w·ℓ(s) for one
interaction.

Loops take their tuples apart before they run: what is asked of a tuple inside costs time.

Axes: N interactions, R rows (users first, then items), S listed rows, K columns of a row.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ifru.interactions.table import Int64
from ifru.kernels.cores import part
from ifru.kernels.held_rows import meet, spread
from ifru.kernels.row_vectors import add, add_two, dot

# Sums may be reordered, which vectorising a dot product needs; NaN and infinity keep their meaning.
MATH = {"reassoc", "contract", "arcp", "nsz"}

_SMALL = 0.02
"""Below such a change of score its effect on the loss is a series: differences would lose digits."""

QUADRATIC = 2
"""The code of ½w·s² − y·s."""

FLAT = 1e-30
"""An interaction of so small a second derivative counts as having none: with confidences that equal the weight of
unobserved pairs, as they do by default in iALS, all are like that, and what they do costs half as much."""

Floats = NDArray[np.floating]


class Form(NamedTuple):
    """rank: the columns of a dot product. bias: whether one more column is added. loss: its code."""

    rank: int
    bias: bool
    loss: int


class Terms(NamedTuple):
    """label, weight [N]; a deleted interaction weighs nothing."""

    label: Floats
    weight: Floats


class Derivatives(NamedTuple):
    """first, second [N]: of w·ℓ(s) in s."""

    first: Floats
    second: Floats


class Step(NamedTuple):
    """x [R, K] leads from theta [R, K] to new [R, K]."""

    theta: Floats
    x: Floats
    new: Floats


class Move(NamedTuple):
    """Rows [S] of one side have moved from before [S, K] to those of theta [R, K]."""

    rows: Int64
    before: Floats
    theta: Floats


@part(fastmath=MATH, inline="always")
def score_of(theta, e, f, rank, bias):
    """s of rows e and f."""
    product = dot(theta, e, theta, f, rank)
    return product + theta[e, rank] + theta[f, rank] if bias else product


@part(fastmath=MATH, inline="always")
def tangent(theta, e, x, f, rank, bias):
    """What x of row f adds to the score with row e of theta."""
    product = dot(theta, e, x, f, rank)
    return product + x[f, rank] if bias else product


@part(fastmath=MATH, inline="always")
def scores_of(out, theta, e, far, rank, bias):
    """out [Z] <- s of row e and each of the rows far [Z]."""
    meet(out, far, e, rank, theta, theta)
    if bias:
        for z in range(len(far)):
            out[z] += theta[e, rank] + theta[far[z], rank]


@part(fastmath=MATH, inline="always")
def changes_of_score(out, theta, new, x, e, far, rank, bias):
    """out [Z] <- what the step x from theta to new does to the scores of row e and of the rows far [Z]; to first order
    where new is theta."""
    meet(out, far, e, rank, x, theta, new, x)
    if bias:
        for z in range(len(far)):
            out[z] += x[e, rank] + x[far[z], rank]


@part(fastmath=MATH, inline="always")
def loss_derivatives(score, label, weight, loss):
    """First and second derivative of one weighted loss in its score."""
    if weight == 0.0:
        return score * 0, score * 0
    if loss == 0:
        one = type(score)(1)
        small = math.exp(-abs(score))
        larger = one / (one + small)
        smaller = small * larger
        return weight * ((larger if score >= 0 else smaller) - label), weight * larger * smaller
    if loss == QUADRATIC:
        return weight * score - label, weight
    return weight * (score - label), weight


@part(fastmath=MATH, inline="always")
def change_of_loss(score, delta, label, first, second, weight, loss):
    """w·(ℓ(s) − ℓ(s − δ)), from the derivatives at s."""
    if loss != 0:
        return first * delta - type(score)(0.5) * weight * delta * delta
    if abs(delta) > _SMALL:
        before = score - delta
        rise = max(score, 0.0) + math.log1p(math.exp(-abs(score)))
        rise -= max(before, 0.0) + math.log1p(math.exp(-abs(before)))
        return weight * (rise - label * delta)
    probability, curvature = first / weight + label, second / weight
    one, half = type(score)(1), type(score)(0.5)
    cubic = (one - 2 * probability) * delta * type(score)(1 / 6)
    quartic = (one - 6 * curvature) * delta * delta * type(score)(1 / 24)
    return first * delta - second * delta * delta * (half - cubic + quartic)


@part(fastmath=MATH, inline="always")
def add_gradient(out, o, first, theta, f, rank, bias):
    """out[o] += first·∂s, where row f of theta is the far one."""
    add(out, o, first, theta, f, rank)
    if bias:
        out[o, rank] += first


@part(fastmath=MATH, inline="always")
def add_product(out, o, curved, theta, f, first, x, m, rank, bias):
    """out[o] += curved·∂s + first·∂²s x, where row f of theta and row m of x are the far one's."""
    add_two(out, o, curved, theta, f, first, x, m, rank)
    if bias:
        out[o, rank] += curved


@part(fastmath=MATH, inline="always")
def add_gradients(out, of_far, border, first, theta, e, far, rank, bias):
    """`add_gradient` to row e of out and to those at the rows far [Z] of of_far, which begins at row `border`."""
    spread(out, of_far, border, far, e, rank, first, theta)
    if bias:
        _add_biases(out, of_far, border, first, e, far, rank)


@part(fastmath=MATH, inline="always")
def add_products(out, of_far, border, curved, theta, first, x, e, far, rank, bias):
    """`add_product`, likewise."""
    spread(out, of_far, border, far, e, rank, curved, theta, first, x)
    if bias:
        _add_biases(out, of_far, border, curved, e, far, rank)


@part(fastmath=MATH, inline="always")
def _add_biases(out, of_far, border, change, e, far, rank):
    for z in range(len(far)):
        out[e, rank] += change[z]
        of_far[far[z] - border, rank] += change[z]


@part(fastmath=MATH, inline="always")
def add_change(out, o, new, theta, f, old, before, m, rank, bias):
    """out[o] += new·∂s − old·∂s, where the far row, now row f of theta, was row m of before."""
    add_two(out, o, new, theta, f, -old, before, m, rank)
    if bias:
        out[o, rank] += new - old


@part()
def between(far, begin, end, least, most):
    """Of the places from begin to end, where `far` ascends, those whose row is from `least` to before `most`."""
    rows = far[begin:end]
    return begin + np.searchsorted(rows, least), begin + np.searchsorted(rows, most)
