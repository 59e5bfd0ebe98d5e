"""The example of a module of one's own runs as it stands, and holds to what every model must."""

from __future__ import annotations

import pytest

from examples.own_module import config, main
from ifru.testing import Conformance


class TestTaste(Conformance):
    config = config()


def test_it_stands_beside_retrained_models(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    trained, beside = capsys.readouterr().out.splitlines()
    assert trained.startswith("Trained to AUC 0.")
    assert beside.count("0.") == 4
