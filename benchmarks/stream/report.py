"""What became of the requests, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from statistics import median

import numpy as np

from benchmarks.cells import duration, share, table
from benchmarks.stream.course import Mark
from benchmarks.stream.measure import Course, Stream

_TEN = 10
"""Requests at either end of a course, whose times are compared."""

_HEAD = (
    "idle time",
    "requests",
    "left, forgotten",
    "left, held-out",
    "apply, median",
    "apply, p99",
    "settle, median",
    "refine, median",
    "resident",
    "engine",
)


def markdown(streams: Sequence[Stream]) -> str:
    """A table for each case: a row for each number of requests, with and without refinement."""
    return "\n\n".join(part for stream in streams for part in _stream(stream)) + "\n"


def by_idle(stream: Stream) -> dict[int | None, list[Course]]:
    """The courses without refinement, and those with it."""
    found: dict[int | None, list[Course]] = {}
    for course in stream.courses:
        found.setdefault(course.idle, []).append(course)
    return found


def variant(idle: int | None) -> str:
    """What happens in idle time, in words."""
    return "never refines" if idle is None else f"refines after every {idle}"


def _stream(stream: Stream) -> list[str]:
    rows = [
        (variant(idle), *_row([course.marks[place] for course in courses]))
        for idle, courses in by_idle(stream).items()
        for place in range(len(courses[0].marks))
    ]
    last = str(stream.courses[0].marks[-1].requests)
    lowest = share(stream.floor.forgotten), share(stream.floor.holdout)
    rows.append(("two trainings from scratch", last, *lowest, *[""] * (len(_HEAD) - 4)))
    return [
        f"## {stream.description}, one at a time: {stream.deleted:,} training rows",
        table(_HEAD, rows),
        *(_pace(idle, courses) for idle, courses in by_idle(stream).items()),
    ]


def _pace(idle: int | None, courses: Sequence[Course]) -> str:
    """Whether the last requests take longer than the first."""
    seconds = [
        [sum(both) for mark in course.marks for both in zip(mark.apply, mark.settle, strict=True)] for course in courses
    ]
    first, last = (sum(map(sum, (each[part] for each in seconds))) for part in (slice(_TEN), slice(-_TEN, None)))
    return f"{variant(idle).capitalize()}: the last {_TEN} take {last / first:.2f} times as long as the first {_TEN}."


def _row(marks: Sequence[Mark]) -> tuple[str, ...]:
    """One number of requests, in all orders."""
    apply, settle, refine = (_all(marks, of) for of in (lambda m: m.apply, lambda m: m.settle, lambda m: m.refine))
    return (
        str(marks[0].requests),
        _spread([mark.left.forgotten for mark in marks]),
        _spread([mark.left.holdout for mark in marks]),
        duration(median(apply)),
        duration(float(np.quantile(apply, 0.99))),
        duration(median(settle)),
        duration(median(refine)) if refine else "-",
        _mebibytes([mark.resident for mark in marks]),
        _mebibytes([mark.held for mark in marks]),
    )


def _all(marks: Sequence[Mark], of: Callable[[Mark], tuple[float, ...]]) -> list[float]:
    return list(chain.from_iterable(map(of, marks)))


def _spread(shares: Sequence[float | None]) -> str:
    """The median of all orders, with the least and the most."""
    known = [share for share in shares if share is not None]
    if not known:
        return "-"
    return f"{share(median(known))} ({share(min(known))} to {share(max(known))})"


def _mebibytes(sizes: Sequence[int | None]) -> str:
    known = [size for size in sizes if size is not None]
    return f"{median(known) / 2**20:,.1f} MiB" if known else "-"
