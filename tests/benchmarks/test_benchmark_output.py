"""What a comparison prints, draws and writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.base import Base
from benchmarks.compare import Compared, Measured, compare
from benchmarks.kept import Kept
from benchmarks.left import Left
from benchmarks.methods import Budget
from benchmarks.methods.__main__ import main
from benchmarks.plot import draw
from benchmarks.table import best, curves, markdown, thinned
from benchmarks.timing import Stopwatch, repeated
from ifru.errors import IfruError


def measured(curve: str, seconds: float, forgotten: float, holdout: float | None = None) -> Measured:
    left = Left(forgotten, forgotten if holdout is None else holdout, 0.75)
    return Measured("engine" if curve.startswith("ifru") else curve, curve, "a point", seconds, None, left)


def compared(*points: Measured) -> Compared:
    return Compared("rows:9", "9 random interactions", 9, 0.7, 0.8, points)


def cells(text: str, start: str) -> list[str]:
    (line,) = (line for line in text.splitlines()[::-1] if line.startswith(f"| {start}") and "×" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_times_are_multiples_of_the_engines() -> None:
    text = markdown(
        [compared(measured("ifru, auto", 0.002, 0.04, 0.1), measured("other", 0.5, 0.2), measured("other", 1, 0.05))]
    )
    assert text.startswith("## 9 random interactions: 9 training rows")
    found = cells(text, "other")
    assert found[1] == "0.0500 / 0.0500 in 1 s"
    assert found[2] == "500 ms, 250 ×"
    assert found[5] == "1 s, 500 ×"


def test_a_method_that_never_gets_there_is_compared_by_its_best_result() -> None:
    text = markdown([compared(measured("ifru, auto", 0.01, 0.04, 0.1), measured("other", 2, 0.5))])
    assert cells(text, "other")[2:6] == ["never (200 ×)"] * 4


def test_the_best_result_is_the_quickest_of_those_that_leave_about_as_little() -> None:
    points = [measured("other", 1, 0.3), measured("other", 2, 0.105), measured("other", 50, 0.1)]
    assert best(points).seconds == 2


def test_a_long_curve_is_thinned_evenly_and_keeps_both_ends() -> None:
    points = [measured("other", number, 0.1) for number in range(1, 30)]
    shown = thinned(points)
    assert len(shown) == 8
    assert (shown[0].seconds, shown[-1].seconds) == (1, 29)
    assert thinned(points[:5]) == points[:5]


def test_the_points_of_a_curve_are_sorted_by_time() -> None:
    found = curves([measured("other", 3, 0.1), measured("ifru, auto", 1, 0.1), measured("other", 2, 0.1)])
    assert [point.seconds for point in found["other"]] == [2, 3]


def test_a_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.png"
    draw([compared(measured("ifru, auto", 0.1, 0.0), measured("other", 1, 0.3))], "title").savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_methods_are_measured_on_every_case(base: Base, budget: Budget) -> None:
    told: list[str] = []
    listening = replace(budget, report=lambda what, share: told.append(what))
    found = compare(base, ["rows:5", "users:1"], ["touched", "warm-sweeps"], listening, 0, Kept())
    assert [case.description for case in found] == ["5 random interactions", "1 whole users"]
    assert {point.method for point in found[0].points} == {"touched", "warm-sweeps"}
    assert found[0].auc_exact is not None
    assert "1 whole users: warm-sweeps" in told


def test_unknown_names_are_refused_before_anything_starts() -> None:
    with pytest.raises(IfruError, match="--data is 'nonesuch'; allowed are ml-100k"):
        main(data="nonesuch")
    with pytest.raises(IfruError, match="--method is 'magic'; allowed are engine"):
        main(data="generated", method=["magic"])


def test_only_the_work_is_timed_and_the_median_counts() -> None:
    now = iter([0.0, 1.0, 10.0, 10.5, 20.0, 20.1])
    assert repeated(lambda: next(now), 3, lambda: 7, lambda prepared: prepared + 1) == (8, 0.5)


def test_slow_work_is_not_repeated() -> None:
    now = iter([0.0, 5.0])
    assert repeated(lambda: next(now), 3, lambda: 7, lambda prepared: prepared) == (7, 5.0)


def test_a_stopwatch_adds_up_what_is_inside() -> None:
    now = iter([0.0, 1.0, 10.0, 12.0])
    watch = Stopwatch(lambda: next(now))
    for _ in range(2):
        with watch:
            pass
    assert watch.seconds == 3
