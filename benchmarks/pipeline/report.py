"""What a run has shown, as Markdown and as a picture."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cells import duration, table
from benchmarks.figure import panels
from benchmarks.pipeline.course import Course

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTILES = (0.5, 0.9, 0.99, 1.0)
LATER = ("proven", "purged")
"""States of second receipts."""

_MIB = 1 << 20


def latencies(course: Course) -> dict[str, float]:
    """Seconds from produce to receipt, by quantile."""
    known = course.latencies
    return {_percentile(q): float(np.quantile(known, q)) for q in QUANTILES} if known else {}


def summary(course: Course, paced: bool) -> dict[str, object]:
    """The figures that matter. paced: whether events came over time, so that latency means something."""
    answers = sum(count for state, count in course.states.items() if state not in LATER)
    return {
        **({f"latency_{name}": seconds for name, seconds in latencies(course).items()} if paced else {}),
        "answers": answers,
        "states": course.states,
        "seconds": course.seconds,
        "answers_per_second": answers / course.seconds,
        "sent_behind_time": course.late,
        "ready_after": course.ready,
        "batches": course.batches,
        "answers_per_batch": answers / max(1, course.batches),
        "processor_seconds": course.cpu,
        "peak_bytes": course.peak,
        "versions": course.versions,
        "files": course.files,
        "stored_bytes": course.stored,
        "proofs": asdict(course.proofs),
    }


def markdown(course: Course, paced: bool) -> str:
    """A table of figures, and one of stages."""
    shown = summary(course, paced)
    states = ", ".join(f"{count:,} {state}" for state, count in course.states.items())
    written = {
        "answers": f"{states} in {duration(course.seconds)}: {shown['answers_per_second']:,.0f} /s",
        "batches": f"{course.batches:,} of {shown['answers_per_batch']:.1f} on average",
        "events sent behind their time": f"at most {duration(course.late)}",
        "ready": f"{duration(course.ready)} after its start",
        "memory, processor": f"at most {course.peak / _MIB:,.0f} MiB, {duration(course.cpu)} since it was ready",
        "store": f"{course.versions:,} versions, {course.files:,} files, {course.stored / _MIB:,.1f} MiB added",
    }
    if course.proofs.versions:
        written["proofs"] = _proofs(course)
    rows = list(written.items())
    if paced:
        rows.insert(0, ("latency", ", ".join(f"{name} {duration(s)}" for name, s in latencies(course).items())))
    return f"{table(('', 'measured'), rows)}\n\n{_stages(course)}\n"


def draw(course: Course, title: str, paced: bool) -> Figure:
    """Latency over time (answers over time for a backlog), and stages. Raises IfruError where Matplotlib is missing."""
    whole, ((over, stages),) = panels(title, 1, 2, 14, 5)
    if paced:
        sent = [course.sent[place] for place in sorted(course.answered)]
        over.plot(sent, [1000 * seconds for seconds in course.latencies], ".", markersize=2)
        over.set(xlabel="sent, in seconds", ylabel="milliseconds from produce to receipt", ylim=(0, None))
    else:
        answered = sorted(course.answered.values())
        over.plot(answered, range(1, len(answered) + 1))
        over.set(xlabel="seconds since the daemon was ready", ylabel="answers")
    names = list(course.stages)
    stages.barh(names, [course.stages[name][1] for name in names])
    stages.set(xlabel="seconds in all")
    return whole


def _proofs(course: Course) -> str:
    found = course.proofs
    age = "" if found.oldest is None else f", never older than {duration(found.oldest)}"
    known = "" if found.known_after is None else f"; a bound after {duration(found.known_after)}{age}"
    return f"{found.versions:,} versions{known}; {found.rms_bound:.1e} the last"


def _stages(course: Course) -> str:
    rows = [
        (name, f"{count:,}", duration(seconds / max(1, count)), duration(seconds), f"{seconds / course.seconds:.1%}")
        for name, (count, seconds) in course.stages.items()
    ]
    return table(("stage", "times", "on average", "in all", "of the run"), rows)


def _percentile(quantile: float) -> str:
    return "max" if quantile == 1 else f"p{round(100 * quantile)}"
