"""Steps of rows in a byte or two for each column: `docs/snapshot-format.md` says how they are stored.

Axes: n rows that take steps, m of them with counts of two bytes, K columns of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.objective.parameters import MOST_COUNT, MOST_EXPONENT, Layout, Steps

_WIDTHS: Final = {False: torch.int8, True: torch.int16}


def encode_steps(name: str, steps: Steps, layout: Layout) -> dict[str, Tensor]:
    """The tensors of a table's steps, of which there are some. Raises ValueError for counts of more than two bytes."""
    at, exponent, counts = (tensor.cpu() for tensor in (steps.rows, steps.exponent, steps.counts))
    most = counts.abs().amax(1)
    if bool((most > MOST_COUNT).any()):
        raise ValueError(f"a step of the {name} table has counts up to {int(most.max())}, beyond two bytes")
    wide = most > torch.iinfo(torch.int8).max
    moved = np.zeros(int(at[-1]) + 1, dtype=bool)
    moved[at.numpy()] = True
    tensors = {"rows": _packed(moved), "wide": _packed(wide.numpy()), "exponent": exponent.to(torch.int8)}
    for which, dtype in _WIDTHS.items():
        parts = torch.split(counts[wide == which].to(dtype), list(layout.columns.values()), dim=1)
        tensors |= {f"{column}.{_named(dtype)}": part for column, part in zip(layout.columns, parts, strict=True)}
    return {f"steps.{name}.{what}": tensor for what, tensor in tensors.items()}


def decode_steps(name: str, tensors: Mapping[str, Tensor], layout: Layout) -> Steps:
    """The steps of a table. Raises KeyError or ValueError where the tensors hold none."""
    exponent = tensors[f"steps.{name}.exponent"]
    if exponent.dtype != torch.int8 or bool((exponent.abs() > MOST_EXPONENT).any()):
        raise ValueError(f"the steps of the {name} table have exponents beyond {MOST_EXPONENT}")
    at = torch.from_numpy(np.flatnonzero(_unpacked(tensors[f"steps.{name}.rows"])))
    wide = _unpacked(tensors[f"steps.{name}.wide"])[: len(at)]
    if not len(at) == len(exponent) == len(wide):
        sizes = f"{len(at)} rows, with {len(exponent)} exponents and {len(wide)} widths"
        raise ValueError(f"the steps of the {name} table are of {sizes}")
    counts = torch.zeros(len(at), layout.width)
    for which, dtype in _WIDTHS.items():
        parts = [tensors[f"steps.{name}.{column}.{_named(dtype)}"] for column in layout.columns]
        found = int((wide == which).sum())
        wanted = [(dtype, (found, width)) for width in layout.columns.values()]
        if (there := [(part.dtype, tuple(part.shape)) for part in parts]) != wanted:
            raise ValueError(f"the steps of the {name} table are {there}, of {found} rows")
        counts[torch.from_numpy(wide == which)] = torch.cat(parts, dim=1).float()
    return Steps(at, exponent.float(), counts)


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _packed(flags: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(np.packbits(flags, bitorder="little"))


def _unpacked(bits: Tensor) -> NDArray[np.bool_]:
    return np.unpackbits(bits.numpy(), bitorder="little").astype(bool)
