"""The demo, step by step."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ifru.cli.options import device_of, dtype_of
from ifru.cli.output import progress
from ifru.cli.train import publish
from ifru.errors import IfruError
from ifru.evaluation.verify import Published, Verification, verify
from ifru.interactions import Interactions
from ifru.interactions.labels import LabelRule
from ifru.models import MFConfig, ModelConfig
from ifru.requests import resolve
from ifru.snapshots import Reader, Version, open_store
from ifru.training import TrainedModel, train
from ifru.training.warm_up import warm_up
from ifrud.streams.outboxes import open_outbox
from ifrud_demo.data import SEED, Data, generated, movielens_or_generated, own
from ifrud_demo.errors import DemoError
from ifrud_demo.movielens import cache_folder, fetch, movielens
from ifrud_demo.options import Options
from ifrud_demo.outcome import Outcome, Spent
from ifrud_demo.plan import Plan, plan
from ifrud_demo.process import Places, started
from ifrud_demo.screen import Screen
from ifrud_demo.stream import Stream
from ifrud_demo.watch import Announced, Clock, Seen, Watch


def run_demo(options: Options, screen: Screen, start: float) -> Outcome:
    """Train, run a daemon on a stream of deletions, and hold what it published against retraining.

    start: when the program was started, as time.monotonic() tells. Raises IfruError.
    """
    with _folder(options.folder) as folder:
        places = Places(folder)
        data = _data(options, places)
        _say_data(data, screen)
        config = MFConfig(rank=options.rank, l2=options.l2)
        _compile(config)
        trained, seconds = _train(config, data, places)
        auc = "" if trained.auc is None else f", AUC {trained.auc:.4f} on held-out ratings"
        screen.say(f"Trained in {seconds:.1f} s: {trained.verdict}{auc}.")
        planned = plan(data.dataset, options.events, SEED, datetime.now(UTC))
        seen = _stream(options, planned, places, screen)
        screen.say("Now retraining from scratch on what is left, to compare.")
        answered, refined = _verify(planned, places, seen)
        return Outcome(data, trained, seen, answered, refined, Spent(seconds, time.monotonic() - start))


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="ifrud-demo-") as name:
            yield Path(name).resolve()
        return
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        used = any(wanted.iterdir())
    except OSError as error:
        raise IfruError(f"--dir: {str(wanted)!r} cannot be used: {error.strerror}") from error
    if used:
        raise IfruError(f"--dir: {str(wanted)!r} is not empty; name an empty or a new folder")
    yield wanted.resolve()


def _data(options: Options, places: Places) -> Data:
    rule = LabelRule.parse(options.label)
    with progress() as report:
        if options.data is not None:
            return own(options.data, rule)
        if options.generated:
            return generated(rule)
        report("looking for MovieLens-100K", None)
        ratings = partial(movielens, cache_folder(os.environ, Path.home()), fetch)
        return movielens_or_generated(rule, ratings, places.data)


def _say_data(data: Data, screen: Screen) -> None:
    if data.remark:
        screen.say(data.remark)
    train, holdout = data.dataset.train, data.dataset.holdout
    screen.say(
        f"Data: {data.name}; {train.users:,} users, {train.items:,} items, {train.retained:,} rows to train on, "
        f"{holdout.retained:,} held out."
    )


def _compile(config: ModelConfig) -> None:
    """Have the compiled loops ready, for the daemon too, so that no request waits for a compiler."""
    with progress() as report:
        report("compiling", None)
        warm_up(config, device_of("auto"), (torch.float32,))


def _train(config: ModelConfig, data: Data, places: Places) -> tuple[TrainedModel, float]:
    start, device = time.monotonic(), device_of("auto")
    with progress() as report:
        trained = train(data.dataset, [config], seed=SEED, device=device, dtype=dtype_of(None, device), report=report)
        publish(open_store(places.store.as_uri()), trained, data.dataset)
    return trained, time.monotonic() - start


def _stream(options: Options, planned: Plan, places: Places, screen: Screen) -> Seen:
    places.requests.write_bytes(b"".join(request.model_dump_json().encode() + b"\n" for request in planned.requests))
    clock, seen = Clock(time.monotonic, time.sleep), Seen(len(planned.events))
    screen.say(f"Starting the daemon, a process of its own, which gets {options.rate:g} events a second.")
    with started(places) as daemon, screen.following(seen) as show:
        stream = Stream(daemon, Watch(places, seen, clock), seen, clock, show)
        stream.wait_until_ready()
        stream.send(planned.events, open_outbox(places.events.as_uri()), options.rate)
        stream.wait_for_proof()
        if (code := daemon.stop()) != 0:
            raise DemoError(f"the daemon ended with exit code {code}: {seen.sentence}")
    return seen


def _verify(planned: Plan, places: Places, seen: Seen) -> tuple[Verification, Verification | None]:
    """The last version that answers a request, and what idle time has made of it, held against retraining."""
    reader = Reader(open_store(places.store.as_uri()))
    before, after = reader.load(1), reader.load(seen.last_answer.version)
    _check(before, after, planned)
    answered = _compared(planned, before, after, seen.last_answer, sum(seen.updates) / len(seen.updates))
    refinement = seen.refinement
    if refinement is None:
        return answered, None
    after = reader.advance(after, refinement.version)
    _check(before, after, planned)
    return answered, _compared(planned, before, after, refinement, refinement.seconds)


def _compared(planned: Plan, before: Version, after: Version, announced: Announced, seconds: float) -> Verification:
    residual = after.manifest.residual
    published = Published(
        parameters=after.tables,
        method=residual.method,
        reason=residual.reason,
        products=0,
        residual_influence=residual.influence or 0.0,
        settled_influence=announced.settled,
        update=seconds,
    )
    with progress() as report:
        return verify(
            before.manifest.model,
            before.tables,
            before.dataset,
            planned.requests,
            published=published,
            device=device_of("auto"),
            seed=SEED,
            report=report,
        )


def _check(before: Version, after: Version, planned: Plan) -> None:
    """Raises DemoError where the daemon has deleted anything else than what was asked for."""
    expected = before.copy().dataset
    for request in planned.requests:
        expected.delete(resolve(request, expected))
    for name in ("train", "holdout"):
        wanted, found = getattr(expected, name), getattr(after.dataset, name)
        if not _same(wanted, found):
            raise DemoError(
                f"version {after.manifest.version} has {found.retained} {name} rows that are not the {wanted.retained} "
                "which the requests leave; please report it"
            )


def _same(one: Interactions, other: Interactions) -> bool:
    columns, others = one.columns(), other.columns()
    return all(np.array_equal(getattr(columns, name), getattr(others, name)) for name in ("user", "item", "label"))
