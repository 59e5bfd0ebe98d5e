"""The same batch on data of all sizes."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from benchmarks.kept import Kept
from benchmarks.size.__main__ import main
from benchmarks.size.grown import grown, shape
from benchmarks.size.growth import growth, memory
from benchmarks.size.measure import Answers, Asked, Scratch, Size, measure
from benchmarks.size.picture import draw
from benchmarks.size.report import markdown
from ifru.errors import IfruError

ASKED = Asked(("auto", "residual"), tolerance=0.35, batch=10, batches=2, patience=0.0, seed=0)


def size(interactions: int, rows: int, apply: float, held: int) -> Size:
    answers = Answers("push", 1.0, apply, 0.5, 1000.0, 500.0, ("push",), 0.01, 0.3, held, None, None)
    return Size(interactions, rows // 2, rows - rows // 2, Scratch(9.0, measured=True), (answers,))


@pytest.fixture(scope="module")
def sizes() -> list[Size]:
    ticks = count()
    return measure([20_000, 10_000], ASKED, Kept(), clock=lambda: float(next(ticks)))


@pytest.mark.parametrize(
    ("interactions", "published"),
    [(100_000, (943, 1_682)), (1_000_209, (6_040, 3_706)), (20_000_263, (138_493, 26_744))],
)
def test_users_and_items_are_as_many_as_in_real_data(interactions: int, published: tuple[int, int]) -> None:
    assert shape(interactions) == published


def test_users_stay_as_active_and_items_become_more_popular() -> None:
    shapes = [(at, *shape(at)) for at in (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)]
    assert all(100 < at / users < 170 for at, users, _ in shapes)
    popularity = [at / items for at, _, items in shapes]
    assert popularity == sorted(popularity)
    assert popularity[-1] > 10 * popularity[0]


def test_a_grown_data_set_has_its_size_and_holds_nothing_out() -> None:
    dataset = grown(10_000, seed=0)
    assert len(dataset.train) == 10_000
    assert (dataset.train.users, dataset.train.items) == shape(10_000)
    assert len(dataset.holdout) == 0


def test_sizes_are_measured_from_small_to_large_with_every_support(sizes: list[Size]) -> None:
    assert [one.interactions for one in sizes] == [10_000, 20_000]
    for one in sizes:
        assert [answers.support for answers in one.answers] == ["auto", "residual"]
        for answers in one.answers:
            assert (answers.build_up, answers.apply, answers.settle) == (1, 1, 1)
            assert answers.read > 0
            assert answers.read_settling >= 0
            assert answers.held > one.interactions
            assert 0 < answers.own_debt < 0.1


def test_auto_keeps_the_tolerance(sizes: list[Size]) -> None:
    assert all(one.answers[0].influence <= ASKED.tolerance for one in sizes)


def test_training_that_would_take_too_long_is_extrapolated_and_said_to_be(sizes: list[Size]) -> None:
    assert sizes[0].scratch == Scratch(1.0, measured=True)
    assert sizes[1].scratch == Scratch(2.0, measured=False)
    assert "2 s (extrapolated)" in markdown(sizes, ASKED)
    assert markdown(sizes, ASKED).count("(extrapolated)") == 2


def test_growth_is_from_the_smallest_to_the_largest() -> None:
    (found,) = growth([size(1000, 10, 0.5, 1), size(3000, 10, 9.0, 1), size(10_000, 20, 0.75, 1)])
    assert (found.data, found.apply, found.answered, found.read, found.read_answered) == (10, 1.5, 1.25, 1, 1)


def test_memory_is_told_apart_by_interactions_and_rows() -> None:
    shapes = [(1000, 40), (10_000, 100), (100_000, 700)]
    found = memory([size(at, rows, 1.0, 70 * at + 1400 * rows) for at, rows in shapes])
    assert found == pytest.approx((70, 1400))
    assert memory([size(1000, 40, 1.0, 70)]) is None


def test_the_table_has_a_row_for_each_size_and_support(sizes: list[Size]) -> None:
    rows = [line.strip("|").split("|") for line in markdown(sizes, ASKED).splitlines() if line[:1] == "|"]
    assert [(row[0].strip(), row[3].strip()) for row in rows[2:6]] == [
        (interactions, support) for interactions in ("10,000", "20,000") for support in ("auto", "residual")
    ]
    assert [row[0].strip() for row in rows[8:]] == ["auto", "residual"]


def test_the_command_prints_json_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "size.png"
    main(size=[10_000.0], support=["residual"], batch=5, batches=1, keep=tmp_path / "kept", plot=path, json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["sizes"][0]["interactions"] == 10_000
    assert document["sizes"][0]["answers"][0]["support"] == "residual"
    assert document["memory"] is None
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_what_no_memory_is_known_of_is_drawn_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "size.png"
    draw([size(1000, 40, 1.0, 70), size(9000, 90, 1.0, 700)], "title").savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(IfruError, match="support is 'magic'; allowed are auto"):
        main(support=["magic"])
    with pytest.raises(IfruError, match="take a smaller number"):
        measure([10_000], Asked(("residual",), 0.35, 6000, 2, 0.0, 0), Kept())
