"""Files that implicit saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ifru.errors import DataError
from ifru.importing import read_implicit

RANDOM = np.random.default_rng(0)


def saved(folder: Path, **changes: Any) -> Path:
    """As `implicit` 0.7 writes it; a change of None leaves a field out."""
    fields = {
        "user_factors": RANDOM.normal(size=(5, 3)).astype(np.float32),
        "item_factors": RANDOM.normal(size=(4, 3)).astype(np.float32),
        "regularization": 0.05,
        "factors": 3,
        "dtype": "float32",
        "alpha": 2.0,
    } | changes
    path = folder / "model.npz"
    np.savez(path, **{name: value for name, value in fields.items() if value is not None})
    return path


def test_factors_and_what_they_minimise_are_read(tmp_path: Path) -> None:
    user = RANDOM.normal(size=(5, 3))
    found = read_implicit(saved(tmp_path, user_factors=user))
    np.testing.assert_array_equal(found.user.numpy(), user)
    assert (found.item.shape, found.l2, found.alpha) == ((4, 3), 0.05, 2.0)


def test_a_file_of_a_version_without_alpha_has_one(tmp_path: Path) -> None:
    assert read_implicit(saved(tmp_path, alpha=None)).alpha == 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"user_factors": None}, "has no user_factors"),
        ({"item_factors": np.ones((4, 2), np.float32)}, "user_factors have 3 columns and item_factors 2"),
        ({"item_factors": np.full((4, 3), np.nan)}, "item_factors holds a value that is not finite"),
        ({"item_factors": np.ones(4)}, r"item_factors is float64 \[4\]"),
        ({"regularization": None}, "has no regularization"),
        ({"regularization": -1.0}, "regularization is -1.0; allowed is a number above 0"),
        ({"alpha": np.array([1.0, 2.0])}, "alpha is"),
        ({"user_factors": np.array([{"a": 1}], dtype=object)}, "cannot be read as a model that implicit saved"),
    ],
)
def test_what_is_no_such_model_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_implicit(saved(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"user,item\n1,2\n"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_implicit(path)
