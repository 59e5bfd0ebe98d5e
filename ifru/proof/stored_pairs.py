"""Dual points of chosen pairs as safetensors bytes, without metadata: the same ones give the same bytes.

`user`, `item`, `weight`, `solution`, `reward` [1]: as in `PairDual`. `above.alpha`, `below.alpha` and so on: as
`ifru.proof.stored` names what a dual point has.
"""

from __future__ import annotations

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError

from ifru.objective.tilted import ChosenPairs
from ifru.proof.chosen_pairs import PairDual
from ifru.proof.errors import ProofError
from ifru.proof.stored import arrays_of, dual_of

_SIDES = ("above", "below")


def encode_pair_dual(dual: PairDual) -> bytes:
    """A dual point as a file that any reader of safetensors can open."""
    arrays = {
        "user": dual.pairs.user.numpy(),
        "item": dual.pairs.item.numpy(),
        "weight": dual.pairs.weight.double().numpy(),
        "solution": np.ascontiguousarray(dual.solution.double().numpy()),
        "reward": np.array([dual.reward]),
    }
    for side, of in zip(_SIDES, (dual.above, dual.below), strict=True):
        arrays |= {f"{side}.{name}": array for name, array in arrays_of(of).items()}
    return safetensors.numpy.save(arrays)


def decode_pair_dual(data: bytes) -> PairDual:
    """Raises ProofError for bytes that hold no dual point of pairs. Whether it fits the data is seen by `interval`."""
    try:
        arrays = safetensors.numpy.load(data)
        user, item = (torch.from_numpy(arrays[side]).long().reshape(-1) for side in ("user", "item"))
        weight, solution = (torch.from_numpy(arrays[name]).double() for name in ("weight", "solution"))
        (reward,) = arrays["reward"].reshape(-1).tolist()
        above, below = (
            dual_of({name.removeprefix(f"{side}."): array for name, array in arrays.items() if name.startswith(side)})
            for side in _SIDES
        )
        return PairDual(ChosenPairs(user, item, weight), solution, above, below, float(reward))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = f"no dual point of pairs can be read ({error!r})"
        raise ProofError(f"{reason}; write one with ifru prove --pairs or --request, and --save-dual") from error
