"""An engine that answers requests one at a time, as it does in a daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.cases import Case
from benchmarks.left import Left, left
from benchmarks.memory import held, resident
from benchmarks.timing import Clock
from ifru.engine.engine import Engine
from ifru.engine.update import Settled
from ifru.interactions import Deletion


@dataclass(frozen=True)
class Mark:
    """Where an engine stands when it has answered and settled so many requests.

    left: of all requests so far, against the model that is retrained without them.
    influence, total: the residual influence, of the newest request and of all so far.
    resident, held: bytes of the process, and of the engine in it.
    apply, settle, refine: seconds of each call since the mark before.
    """

    requests: int
    left: Left
    influence: float
    total: float
    resident: int | None
    held: int
    apply: tuple[float, ...]
    settle: tuple[float, ...]
    refine: tuple[float, ...]


@dataclass
class _Seconds:
    clock: Clock
    apply: list[float] = field(default_factory=list)
    settle: list[float] = field(default_factory=list)
    refine: list[float] = field(default_factory=list)


def run(
    engine: Engine, requests: Sequence[Deletion], cases: Mapping[int, Case], idle: int | None, clock: Clock
) -> list[Mark]:
    """Answer all requests, and mark where the engine stands after as many of them as there are cases for.

    idle: requests between two times in which the engine refines; None for never. A mark comes before a refinement.
    """
    marks = []
    seconds = _Seconds(clock)
    for number, request in enumerate(requests, 1):
        if idle is not None and number > 1 and (number - 1) % idle == 0:
            _refine(engine, seconds)
        settled = _answer(engine, request, seconds)
        if number in cases:
            marks.append(_mark(engine, number, settled, cases[number], seconds))
            seconds = _Seconds(clock)
    return marks


def _answer(engine: Engine, request: Deletion, seconds: _Seconds) -> Settled:
    start = seconds.clock()
    engine.apply(request)
    applied = seconds.clock()
    settled = engine.settle()
    seconds.apply.append(applied - start)
    seconds.settle.append(seconds.clock() - applied)
    return settled


def _refine(engine: Engine, seconds: _Seconds) -> None:
    start = seconds.clock()
    engine.refine()
    seconds.refine.append(seconds.clock() - start)


def _mark(engine: Engine, number: int, settled: Settled, case: Case, seconds: _Seconds) -> Mark:
    return Mark(
        requests=number,
        left=left(case, engine.parameters.stacked()),
        influence=settled.influence,
        total=settled.total,
        resident=resident(),
        held=held(engine),
        apply=tuple(seconds.apply),
        settle=tuple(seconds.settle),
        refine=tuple(seconds.refine),
    )
