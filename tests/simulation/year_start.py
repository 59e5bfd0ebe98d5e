"""What a start of the daemon takes on the versions in a folder: `python -m tests.simulation.year_start FOLDER SECONDS`.

It prints what `tests.simulation.year.Start` says. SECONDS: how long the year has lasted by then.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import timedelta
from pathlib import Path
from random import Random

import structlog

from ifru.stores.local import LocalStore
from ifrud.pipeline import Streams
from ifrud.process import assemble
from ifrud.prover import Prover
from tests.daemon.world import TIME, World
from tests.fixtures.failing_store import RecordingStore
from tests.simulation.broker import Broker
from tests.simulation.year import Counted, settings


def resident() -> float:
    """MiB, at most so far. The kernel's account of resources begins with those of the process that started this one."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    recording, seconds, idle = RecordingStore(LocalStore(Path(sys.argv[1]))), float(sys.argv[2]), resident()
    broker, begun = Broker(Random(0)), time.process_time()

    def utc() -> float:
        return (TIME + timedelta(seconds=seconds)).timestamp()

    source = broker.source(utc, lambda _: None, None)
    assemble(
        settings(),
        recording,
        Streams(source, Counted(), Counted()),
        World.reporter(),
        Prover(),
        now=lambda: seconds,
        utc=lambda: TIME + timedelta(seconds=seconds),
        wait=lambda _: None,
    )
    cpu = time.process_time() - begun
    reads = sum(operation == "get" for operation, _ in recording.calls)
    print(json.dumps({"reads": reads, "cpu": cpu, "resident": resident(), "idle": idle}))


if __name__ == "__main__":
    main()
