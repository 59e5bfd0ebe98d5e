"""Operations on whole tables: the compiled loops, on one core and on all, do what torch operators do."""

from __future__ import annotations

import pytest
import torch

from ifru.kernels import dispatch as ops
from ifru.kernels.dispatch import is_long

SHAPES = [(0, 3), (1, 1), (7, 5), (300, 16), (40_000, 33)]


def test_the_largest_shape_is_shared_among_cores_and_the_others_are_not() -> None:
    assert [is_long(rows * columns) for rows, columns in SHAPES] == [False, False, False, False, True]


@pytest.fixture(params=SHAPES, ids=str)
def tables(request: pytest.FixtureRequest) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(request.param, generator=random, dtype=torch.float64) for _ in range(4)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_dot_products_are_those_of_torch(tables: list[torch.Tensor], dtype: torch.dtype, tolerance: float) -> None:
    a, b = (table.to(dtype) for table in tables[:2])
    scale = float(a.norm() * b.norm())
    assert ops.dot(a, b) == pytest.approx(float((a.double() * b.double()).sum()), abs=tolerance * scale)
    rows = ops.dot_rows(a, b)
    assert rows.dtype == torch.float64
    torch.testing.assert_close(rows, (a.double() * b.double()).sum(1), rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_tables_are_changed_in_place_as_torch_would(tables: list[torch.Tensor], dtype: torch.dtype) -> None:
    x, direction, residual, image = (table.to(dtype) for table in tables)
    moved, left = x + 0.3 * direction, residual - 0.3 * image
    ops.add_both(x, direction, residual, image, 0.3)
    torch.testing.assert_close(x, moved)
    torch.testing.assert_close(residual, left)

    turned, in_metric = x + 0.7 * direction, residual + 0.7 * image
    ops.turn_both(direction, x, image, residual, 0.7)
    torch.testing.assert_close(direction, turned)
    torch.testing.assert_close(image, in_metric)
