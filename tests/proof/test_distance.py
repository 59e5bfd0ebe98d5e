"""What the proof says about predictions, against the retrained model."""

from __future__ import annotations

import statistics

import pytest
import torch
from torch import Tensor

from ifru.training.newton import Plan
from tests.proof.cases import Case, case

KINDS = [(loss, bias) for loss in ("bce", "squared") for bias in (False, True)]


def versions(small: Case, optimum: Tensor) -> dict[str, Tensor]:
    """Versions from next to the optimum to far from it."""
    random = torch.Generator().manual_seed(small.interactions.retained)
    noise = torch.randn(optimum.shape, generator=random, dtype=torch.float64)
    size = float(optimum.square().mean().sqrt()) + 0.01
    perturbed = {f"perturbed by {share:g}": optimum + share * size * noise for share in (1e-5, 1e-3, 0.1, 1.0)}
    started = {f"{n} sweeps": small.trained(small.start(n), Plan(sweeps=n, steps=0)) for n in (1, 3)}
    return perturbed | started


@pytest.mark.parametrize(("loss", "bias"), KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_the_bound_is_never_below_the_distance_to_the_optimum(seed: int, loss: str, bias: bool) -> None:
    """120 versions of 20 data sets."""
    small = case(100 + seed, loss=loss, bias=bias, l2=(0.03, 0.1, 0.3)[seed % 3])
    optimum = small.trained(small.start())
    best = small.prove(optimum)
    for name, theta in versions(small, optimum).items():
        true = small.distance(theta, optimum)
        for dual in (None, best.dual):
            proof = small.prove(theta, dual=dual)
            assert proof.rms_bound + best.rms_bound >= true, name
            assert proof.gap >= small.value(theta) - best.objective, name


@pytest.mark.parametrize(("loss", "bias"), KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_covers_what_a_deletion_leaves_behind(seed: int, loss: str, bias: bool) -> None:
    before = case(200 + seed, loss=loss, bias=bias, l2=0.05)
    stale = before.trained(before.start())
    after = before.without(0.1, seed)
    retrained = after.trained(after.start())
    best = after.prove(retrained)
    part = after.trained(stale, Plan(sweeps=1, steps=0))
    for theta in (stale, part):
        own, tight = after.prove(theta), after.prove(theta, dual=best.dual)
        assert min(own.rms_bound, tight.rms_bound) + best.rms_bound >= after.distance(theta, retrained)
        assert tight.rms_bound <= own.rms_bound + best.rms_bound
    assert best.rms_bound <= 1e-4


def test_the_bound_is_within_a_small_factor_of_the_truth() -> None:
    """Near the optimum, with its dual point: data sets with weights between 0.5 and 2, so not all of it is slack."""
    ratios = []
    for seed in range(12):
        loss, bias = KINDS[seed % 4]
        small = case(300 + seed, loss=loss, bias=bias, l2=0.05)
        optimum = small.trained(small.start())
        theta = versions(small, optimum)["perturbed by 0.001"]
        bound = small.prove(theta, dual=small.prove(optimum).dual).rms_bound
        ratios.append(bound / small.distance(theta, optimum))
    assert min(ratios) >= 1
    assert statistics.median(ratios) <= 4
    assert max(ratios) <= 12
