"""A daemon whose memory is limited: what is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.limited import STAGES, Course, draw, main, markdown

MIB = 1 << 20


def test_a_small_model_is_refined_and_proven_within_its_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    main(mib=[1500], quick=True, json=True, plot=tmp_path / "plot.png")
    (course,) = json.loads(capsys.readouterr().out)["courses"]
    assert [mark[0] for mark in course["marks"]] == list(STAGES)
    assert course["proven"]
    assert 100 * MIB < max(course["resident"]) < 1500 * MIB
    assert course["log"][0].startswith("of 1,500 MiB that may be taken")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_says_what_a_limit_leads_to(tmp_path: Path) -> None:
    course = Course(None, [0.5], [300 * MIB], [(stage, 0.5, 300 * MIB) for stage in STAGES], False, [])
    assert "| none | 300 MiB | no room | 500 ms, 300 MiB |" in markdown([course])
    pytest.importorskip("matplotlib")
    draw([course]).savefig(tmp_path / "plot.png")
