"""How many files somebody has to read who follows one update through the code."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import ifru
from ifru import Engine, EngineSettings, MFConfig

PACKAGE = Path(str(ifru.__file__)).parent
MOST = 16


def files_run(engine: Engine, user: int) -> list[str]:
    """Files of the package with a function that runs while a user is deleted."""
    seen = set[str]()

    def note(frame: FrameType, event: str, argument: object) -> None:
        seen.add(frame.f_code.co_filename)

    deletion = engine.dataset.of_user(user)
    sys.settrace(note)
    try:
        engine.apply(deletion)
        engine.settle()
    finally:
        sys.settrace(None)
    return sorted(str(Path(name).relative_to(PACKAGE)) for name in seen if Path(name).is_relative_to(PACKAGE))


def test_an_update_runs_through_few_files() -> None:
    dataset = ifru.split(ifru.generate(400, 300, 20_000, seed=7), ifru.LabelRule.parse("rating>=4"), 0.2, seed=0)
    trained = ifru.train(dataset, [MFConfig(rank=12, l2=0.13)])
    engines = [Engine(trained.config, trained.parameters, dataset.copy(), EngineSettings()) for _ in range(2)]
    # Loops are compiled in the course of the first, which runs files that have no part in an update.
    _, files = [files_run(engine, user=1) for engine in engines]
    assert len(files) <= MOST, f"{len(files)} files:\n" + "\n".join(files)
    assert "engine/engine.py" in files
