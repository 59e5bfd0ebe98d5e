"""An auditor's check of one person's proof runs as it stands, and falls for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.check_one_person import main
from ifru.cli import main as ifru
from ifru.proof import ProofError
from tests.fixtures.forgetting_store import forget, publish


def test_it_checks_what_the_command_wrote_and_refuses_it_for_another_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, dual = f"file://{tmp_path / 'models'}", str(tmp_path / "dual.safetensors")
    publish(url)
    forget(url, ["r1"], [3, 11])
    with pytest.raises(SystemExit):
        ifru(["prove", url, "--request", "r1", "--save-dual", dual])
    capsys.readouterr()
    main([url, "2", dual])
    first, second, third, *weights = capsys.readouterr().out.splitlines()
    assert first.startswith("Version 2 says ")
    assert second.startswith("deleted data, says from ")
    assert third.startswith("So at most ")
    assert len(weights) == 2
    with pytest.raises(ProofError, match="only the data that it was computed on"):
        main([url, "1", dual])
