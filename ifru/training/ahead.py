"""Compiling in processes of their own, which begin at different ends and load what another has kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numba
import torch

from ifru import kernels
from ifru.errors import IfruError
from ifru.models import ModelConfig, config_of
from ifru.training.warm_up import Rehearsal, rehearsed, warm_up

Process = subprocess.Popen[str]


class CompilationFailed(IfruError):
    """A process that compiles ended before it was done."""

    def __init__(self, said: str) -> None:
        super().__init__(f"a process that compiles ended: {said.strip() or 'it said nothing'}")


@dataclass(frozen=True)
class Compiled:
    """How many loops a process compiled for a precision, how many it found kept, and the seconds that it took."""

    precision: str
    compiled: int
    loaded: int
    seconds: float


def started(config: ModelConfig, precision: str, backwards: bool = False) -> Process:
    """A process that compiles for the CPU what training and updating run."""
    task = json.dumps([rehearsed(config).model_dump(mode="json"), precision, backwards])
    # What it computes is tiny: threads would take the cores from what is compiled beside it.
    environment = os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else __spec__.name, task]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )


def finished(process: Process) -> Compiled:
    """Wait for a process; what it did. Raises CompilationFailed."""
    said, failure = process.communicate()
    if process.returncode != 0:
        raise CompilationFailed(failure[-400:])
    return Compiled(**json.loads(said))


@contextmanager
def beside(config: ModelConfig, precision: str, backwards: bool = False) -> Iterator[Process]:
    """A process compiles while something else is done; it is ended with that."""
    with started(config, precision, backwards) as process:
        try:
            yield process
        finally:
            # What it is at is compiled by whoever needs it: files are kept whole or not at all.
            process.terminate()


@cache
def warm_up_helped(
    config: ModelConfig, device: torch.device, dtype: torch.dtype, cold: Callable[[], None] = lambda: None
) -> None:
    """`warm_up`, with a process beside this one where loops are still to be compiled and there is a core for it.

    cold(): called where they are, before it takes its time. A process does this once.
    """
    with ExitStack() as stack:
        if device.type == "cpu" and _is_cold(config, device, dtype):
            cold()
            if numba.config.NUMBA_NUM_THREADS > 1:
                stack.enter_context(beside(config, str(dtype).removeprefix("torch."), backwards=True))
        warm_up(config, device, (dtype,))


def _is_cold(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the first loop has to be compiled, which is done here."""
    before = _counts()[0]
    Rehearsal(config, device, dtype).derive()
    return _counts()[0] > before


def _counts() -> tuple[int, int]:
    """How many loops this process has compiled, and how many it has loaded."""
    modules = [import_module(f"{kernels.__name__}.{each.name}") for each in iter_modules(kernels.__path__)]
    # A loop that several modules import is one.
    loops: dict[int, Any] = {id(loop): loop for m in modules for loop in vars(m).values() if hasattr(loop, "stats")}
    stats = [loop.stats for loop in loops.values()]
    return sum(sum(each.cache_misses.values()) for each in stats), sum(sum(each.cache_hits.values()) for each in stats)


def _compile(task: Sequence[Any]) -> Compiled:
    document, precision, backwards = task
    began = time.monotonic()
    warm_up(config_of(document), torch.device("cpu"), (getattr(torch, precision),), backwards)
    return Compiled(precision, *_counts(), time.monotonic() - began)


if __name__ == "__main__":
    print(json.dumps(asdict(_compile(json.loads(sys.argv[1])))))
