"""Compiling ahead in processes of their own, one for each precision, beside other work of this one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pkgutil import iter_modules

import torch

from ifru import kernels
from ifru.models import ModelConfig
from ifru.training.warm_up import warm_up


@dataclass(frozen=True)
class Compiled:
    """How many loops were compiled, how many had been before and were only loaded, and the seconds that it took."""

    precision: str
    compiled: int
    loaded: int
    seconds: float


@contextmanager
def compiling(config: ModelConfig, precisions: Sequence[str]) -> Iterator[dict[str, Future[Compiled]]]:
    """Compile for the CPU what training and updating run in some precisions; ends when all of it is done."""
    with ProcessPoolExecutor(len(precisions), mp_context=get_context("spawn")) as pool:
        yield {precision: pool.submit(_compile, config, precision) for precision in precisions}


def _compile(config: ModelConfig, precision: str) -> Compiled:
    began = time.monotonic()
    warm_up(config, torch.device("cpu"), (getattr(torch, precision),))
    modules = [import_module(f"{kernels.__name__}.{each.name}") for each in iter_modules(kernels.__path__)]
    # A loop that several modules import is one.
    loops = {id(loop): loop for module in modules for loop in vars(module).values() if hasattr(loop, "stats")}
    compiled = sum(sum(loop.stats.cache_misses.values()) for loop in loops.values())
    loaded = sum(sum(loop.stats.cache_hits.values()) for loop in loops.values())
    return Compiled(precision, compiled, loaded, time.monotonic() - began)
