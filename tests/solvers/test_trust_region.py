"""Newton steps: what they keep."""

from __future__ import annotations

from weakref import ref

import numpy as np
import torch

from ifru.curvature.preconditioner import Preconditioner, whole
from ifru.interactions import Dataset
from ifru.models import MFConfig, model_of
from ifru.objective import Linearised
from ifru.solvers.pcg import Limits
from ifru.solvers.trust_region import descend
from ifru.training.newton import initial


def test_the_inverse_blocks_of_one_step_are_gone_before_those_of_the_next_are_made(dataset: Dataset) -> None:
    of = model_of(MFConfig(rank=4, l2=0.1)).objective(dataset.train, torch.device("cpu"), torch.float64)
    made: list[ref[object]] = []

    def metric(point: Linearised) -> Preconditioner:
        assert [one() for one in made] == [None] * len(made)
        found = whole(point, np.arange(len(of.ridge)))
        made.extend(ref(part) for part in found.parts)
        return found

    descend(of.at(initial(of, 0)), metric, lambda norm, value: Limits(0.05, 50), steps=20)
    assert len(made) >= 3
