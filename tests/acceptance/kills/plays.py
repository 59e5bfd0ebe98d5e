"""Plays with a broker and a bucket that run already: `python -m tests.acceptance.kills.plays --bootstrap … --bucket …`.

Opens neither itself: the processes that do are copies of this one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from uuid import uuid4

# This layer can be copied, and runs loops of one thread at a time; it is chosen when compiled loops are imported.
os.environ |= {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "1"}

import torch

from ifru.training.warm_up import warm_up
from tests.acceptance.kills.play import Play
from tests.acceptance.kills.points import POINTS
from tests.daemon.world import CONFIG, pairs, trained_dataset

GROUP = 9
"""Points of one play."""


def plays(seeds: Sequence[int], points: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """A seed, and the points of one play in their order. With each seed a process is killed at all points once."""
    for seed in seeds:
        order = Random(seed).sample(list(points), len(points))
        for begin in range(0, len(order), GROUP):
            yield seed, order[begin : begin + GROUP]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.kills", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many (default: 1)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--points", nargs="*", default=POINTS, help="where to kill (default: at all points)")
    parser.add_argument("--bootstrap", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--bucket", required=True, help="s3://BUCKET/PREFIX; AWS_* variables lead to it")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warm_up(CONFIG, torch.device("cpu"), (torch.float32,))
    initial = pairs(trained_dataset())
    began, kills, broken = time.monotonic(), 0, 0
    for seed, points in plays(range(given.first, given.first + given.seeds), given.points):
        with tempfile.TemporaryDirectory() as folder:
            play = Play(uuid4().hex, given.bootstrap, given.bucket, initial, Path(folder), f"{seed} {points[0]}")
            try:
                play.play(points)
            except RuntimeError as error:
                broken += 1
                print(f"seed {seed}, killed {', '.join(points)}: {error}", flush=True)
                print(f"again: python -m tests.acceptance.kills --first {seed} --seeds 1", flush=True)
        kills += play.kills
        print(f"seed {seed}: {kills} kills, {broken} broken plays, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
