"""Dual points as safetensors bytes, without metadata: the same dual point gives the same bytes.

`alpha`, `subspace`, `rows` (where there are some): as in `Dual`. `loss`: its name in ASCII. `data`: the SHA-256 [32] of
the retained rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from ifru.objective.losses import LossName
from ifru.proof.dual import Dual
from ifru.proof.errors import ProofError

_LOSSES: dict[bytes, LossName] = {b"bce": "bce", b"squared": "squared", b"bpr": "bpr"}


def encode_dual(dual: Dual) -> bytes:
    """A dual point as a file that any reader of safetensors can open."""
    return safetensors.numpy.save(arrays_of(dual))


def decode_dual(data: bytes) -> Dual:
    """Raises ProofError for bytes that hold no dual point. Whether it fits the data is seen by `prove`."""
    try:
        return dual_of(safetensors.numpy.load(data))
    except (SafetensorError, KeyError) as error:
        raise ProofError(f"no dual point can be read ({error!r}); write one with ifru prove --save-dual") from error


def arrays_of(dual: Dual) -> dict[str, NDArray[np.generic]]:
    """What the file of a dual point has."""
    arrays: dict[str, NDArray[np.generic]] = {
        "alpha": np.ascontiguousarray(dual.alpha.double().numpy()),
        "subspace": np.ascontiguousarray(dual.subspace.float().numpy()),
        "loss": np.frombuffer(dual.loss.encode(), dtype=np.uint8),
        "data": np.frombuffer(bytes.fromhex(dual.data), dtype=np.uint8),
    }
    if dual.rows is not None:
        arrays["rows"] = np.ascontiguousarray(dual.rows.double().numpy())
    return arrays


def dual_of(arrays: Mapping[str, NDArray[np.generic]]) -> Dual:
    """A dual point from what its file has. Raises KeyError where something is missing, or the loss is unknown."""
    alpha, subspace = torch.from_numpy(arrays["alpha"]).reshape(-1), torch.from_numpy(arrays["subspace"])
    loss, fingerprint = _LOSSES[arrays["loss"].tobytes()], arrays["data"].tobytes().hex()
    rows = torch.from_numpy(arrays["rows"]).double() if "rows" in arrays else None
    return Dual(alpha, subspace, loss, fingerprint, rows)
