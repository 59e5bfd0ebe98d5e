"""The example of a model of one's own runs as it stands, and holds to what every model must."""

from __future__ import annotations

import pytest

from examples.own_model import NearConfig, main
from ifru.testing import Conformance


class TestNear(Conformance):
    config = NearConfig(rank=8, l2=0.2)


def test_it_says_how_near_the_update_came(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    trained, left = capsys.readouterr().out.splitlines()
    assert trained.startswith("Trained to AUC 0.6")
    assert left.startswith("It left 1.")
    assert left.endswith("another seed, 0.0%.")
