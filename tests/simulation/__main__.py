"""Plays seeded worlds: `python -m tests.simulation --seeds 10000`, or one again: `--first 4711 --seeds 1 --log`."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import structlog

from tests.simulation.corrections import check_corrections
from tests.simulation.promises import check
from tests.simulation.purges import check_purges
from tests.simulation.retraining import check_candidates
from tests.simulation.world import World


def play(seed: int) -> tuple[int, str | None, list[str]]:
    """A seed, what broke in it, and what happened."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        world = World(seed, Path(folder))
        try:
            world.play()
            check(world)
            check_purges(world)
            check_candidates(world)
            check_corrections(world)
        except Exception:  # noqa: BLE001 - the next seed is played all the same
            return seed, traceback.format_exc(), world.log
        return seed, None, world.log


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--log", action="store_true", help="say what happened in each")
    given = parser.parse_args()
    seeds, start, broken = range(given.first, given.first + given.seeds), time.monotonic(), 0
    with ProcessPoolExecutor(given.jobs) as pool:
        for done, (seed, error, log) in enumerate(pool.map(play, seeds, chunksize=5), start=1):
            if given.log or error:
                print(f"seed {seed}", *log, sep="\n  ")
            if error:
                broken += 1
                print(error, f"again: python -m tests.simulation --first {seed} --seeds 1 --log", sep="\n")
            if done % 500 == 0:
                print(f"{done} of {len(seeds)} worlds, {broken} broken, {time.monotonic() - start:.0f} s", flush=True)
    print(f"{len(seeds)} worlds, {broken} broken, {time.monotonic() - start:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
