"""What the commands print, on terminals of any width."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from ifru.cli.output import progress, remaining

TEXTS = ("proving", "retraining from another seed", "a λ of so many digits that no line of a terminal holds it" * 3)


@pytest.mark.parametrize("columns", [24, 36, 80, 200])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("share", [None, 0.5])
def test_a_bar_fits_the_terminal_and_says_all_of_its_text(columns: int, text: str, share: float | None) -> None:
    screen = io.StringIO()
    with progress(Console(file=screen, force_terminal=True, color_system=None, width=columns)) as report:
        report(text, share)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    lines = re.split(r"[\r\n]+", shown)
    assert max(len(line) for line in lines) <= columns
    assert "…" not in shown
    assert re.sub(r"\s", "", text) in re.sub(r"[\s━╸╺⠁-⣿]|\d:\d\d:\d\d", "", shown)


@pytest.mark.parametrize(
    ("seconds", "share", "said"),
    [
        (10.0, None, None),
        (10.0, 0.0, None),
        (10.0, 1.0, None),
        (10.0, 0.5, "about 10 s left"),
        (60.0, 0.25, "about 3 min left"),
    ],
)
def test_what_takes_long_says_how_long_its_rest_takes_at_the_pace_so_far(
    seconds: float, share: float | None, said: str | None
) -> None:
    assert remaining(seconds, share) == said
