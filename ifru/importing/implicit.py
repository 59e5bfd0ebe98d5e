"""Files that `implicit` saved: AlternatingLeastSquares on the CPU (github.com/benfred/implicit, from 0.5 on).

    L = ½ Σ_{all u,i} c_ui (p_ui − x_u·y_i)² + (λ/2)(Σ‖x_u‖² + Σ‖y_i‖²)        c_ui = α·weight where recorded, else 1

It is half of what `implicit` calls its loss, up to a constant. Axes: U users, I items, K factors.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.errors import DataError


@dataclass(frozen=True)
class Factors:
    """user [U, K], item [I, K]; l2: `regularization`; alpha: what recorded weights are multiplied by."""

    user: Tensor
    item: Tensor
    l2: float
    alpha: float


def read_implicit(path: Path) -> Factors:
    """Read the .npz file of a model; nothing in it is run. Raises DataError for a file that is no such model."""
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: cannot be read as a model that implicit saved ({error}); "
            "save it with model.save(FILE), and never as a pickle, which could run code when it is read"
        ) from error
    user, item = (_factors(arrays, name, path) for name in ("user_factors", "item_factors"))
    if user.shape[1] != item.shape[1]:
        raise DataError(f"{path}: user_factors have {user.shape[1]} columns and item_factors {item.shape[1]}")
    return Factors(
        torch.from_numpy(user),
        torch.from_numpy(item),
        _number(arrays, "regularization", path),
        _number(arrays, "alpha", path) if "alpha" in arrays else 1.0,
    )


def _factors(arrays: dict[str, NDArray[np.generic]], name: str, path: Path) -> NDArray[np.floating]:
    if name not in arrays:
        raise DataError(
            f"{path}: has no {name}, but {', '.join(sorted(arrays)) or 'nothing'}; allowed is a fitted "
            "AlternatingLeastSquares model of implicit"
        )
    table = arrays[name]
    if table.ndim != 2 or table.dtype.kind != "f" or 0 in table.shape:
        raise DataError(f"{path}: {name} is {table.dtype} {list(table.shape)}; allowed is a table of numbers")
    if not np.isfinite(table).all():
        raise DataError(f"{path}: {name} holds a value that is not finite")
    return table.astype(np.float64 if table.dtype == np.float64 else np.float32)


def _number(arrays: dict[str, NDArray[np.generic]], name: str, path: Path) -> float:
    if name not in arrays:
        raise DataError(f"{path}: has no {name}, without which its objective is not known")
    value = arrays[name]
    if value.shape != () or value.dtype.kind not in "fiu" or not (np.isfinite(value) and float(value) > 0):
        raise DataError(f"{path}: {name} is {value}; allowed is a number above 0")
    return float(value)
