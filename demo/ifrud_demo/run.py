"""The demo, step by step."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from ifru.cli.options import dtype_of
from ifru.cli.output import progress
from ifru.cli.train import publish
from ifru.errors import IfruError
from ifru.evaluation.beside import Beside, verify_beside
from ifru.evaluation.verify import Published, Verification, verify
from ifru.interactions.labels import LabelRule
from ifru.kernels.device import device_of
from ifru.models import ModelConfig, model_of
from ifru.requests import resolve
from ifru.snapshots import Reader, Version, open_store
from ifru.training import TrainedModel, train
from ifru.training.ahead import beside
from ifrud.streams.outboxes import open_outbox
from ifrud_demo.data import SEED, Data, generated, movielens_or_generated, own
from ifrud_demo.models import configured, suited
from ifrud_demo.movielens import cache_folder, fetch, movielens
from ifrud_demo.options import Options
from ifrud_demo.outcome import Outcome
from ifrud_demo.plan import Plan, plan
from ifrud_demo.process import DemoError, Files, daemon, stop
from ifrud_demo.screen import Screen
from ifrud_demo.stream import Stream
from ifrud_demo.watch import Seen, Watch


def run_demo(options: Options, screen: Screen, start: float) -> Outcome:
    """Train, run a daemon on a stream of deletions, and compare what it published with retraining.

    start: when the program was started, as time.monotonic() tells. Raises IfruError.
    """
    config = configured(options.model, options.rank, options.l2, options.loss)
    rule = LabelRule.parse(options.label or suited(config))
    with _folder(options.folder) as folder:
        files = Files(folder)
        data = _data(options, rule, files)
        if data.remark:
            screen.say(data.remark)
        rows, holdout = data.dataset.train, data.dataset.holdout
        screen.say(
            f"Data: {data.name}; {rows.users:,} users, {rows.items:,} items, {rows.retained:,} rows to train on, "
            f"{holdout.retained:,} held out."
        )
        trained, seconds = _train(config, data, files)
        auc = "" if trained.auc is None else f", AUC {trained.auc:.4f} on held-out ratings"
        screen.say(f"Trained in {seconds:.1f} s: {trained.verdict}{auc}.")
        planned = plan(data.dataset, options.events, SEED, datetime.now(UTC))
        screen.say(f"Starting the daemon, a process of its own, which gets {options.rate:g} events a second.")
        seen = _stream(options.rate, planned, trained.proof is not None, files, screen)
        screen.say("Now retraining from scratch on what is left, to compare.")
        answered, refined = _verify(planned, files, seen)
        return Outcome(data, trained, seen, answered, refined, seconds, time.monotonic() - start)


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


def _data(options: Options, rule: LabelRule, files: Files) -> Data:
    with progress() as report:
        if options.data is not None:
            return own(options.data, rule)
        if options.generated:
            return generated(rule)
        report("looking for MovieLens-100K", None)
        ratings = partial(movielens, cache_folder(os.environ, Path.home()), fetch)
        return movielens_or_generated(rule, ratings, files.data)


def _train(config: ModelConfig, data: Data, files: Files) -> tuple[TrainedModel, float]:
    """The model, published as version 1, and the seconds that it took."""
    device = device_of("auto")
    # For the daemon, while the model trains.
    ahead = beside(config, "float32") if device.type == "cpu" else nullcontext()
    with progress() as report, ahead as compiling:
        report("compiling and training", None)
        start = time.monotonic()
        dtype = dtype_of(None, device, model_of(config).capabilities)
        trained = train(data.dataset, [config], seed=SEED, device=device, dtype=dtype, report=report)
        publish(open_store(files.store.as_uri()), trained, data.dataset)
        seconds = time.monotonic() - start
        if compiling is not None:
            report("compiling for the daemon", None)
            compiling.wait()
    return trained, seconds


def _stream(rate: float, planned: Plan, provable: bool, files: Files, screen: Screen) -> Seen:
    files.requests.write_bytes(b"".join(request.model_dump_json().encode() + b"\n" for request in planned.requests))
    seen = Seen(len(planned.events))
    with daemon(files) as process, screen.following(seen) as show:
        stream = Stream(process, Watch(files, seen, time.monotonic), show)
        stream.wait_until_ready()
        stream.send(planned.events, open_outbox(files.events.as_uri()), rate)
        stream.wait_for_idle_work(provable)
        if (code := stop(process)) != 0:
            raise DemoError(f"the daemon ended with exit code {code}: {seen.sentence}")
    return seen


def _verify(planned: Plan, files: Files, seen: Seen) -> tuple[Verification | Beside, Verification | None]:
    """The last version that answers a request, and what idle time has made of it, compared with retraining.

    Where retraining has no unique outcome only the first, with several outcomes. Raises DemoError as `_check` does.
    """
    reader = Reader(open_store(files.store.as_uri()))
    before, after = reader.load(1), reader.load(seen.last_answer.version)
    _check(before, after, planned)
    config, device, refinement = before.manifest.model, device_of("auto"), seen.refinement
    what = config, before.parameters, before.dataset, planned.requests
    answer = _published(after, seen.last_answer.settled, sum(seen.updates) / len(seen.updates))
    with progress() as report:
        if not model_of(config).capabilities.unique_target:
            return verify_beside(*what, published=answer, device=device, seed=SEED, report=report), None
        compared = partial(verify, *what, device=device, seed=SEED, report=report)
        answered = compared(published=answer, floor=True)
        if refinement is None:
            return answered, None
        after = reader.advance(after, refinement.version)
        _check(before, after, planned)
        return answered, compared(published=_published(after, refinement.settled, refinement.seconds))


def _published(version: Version, settled: float, seconds: float) -> Published:
    """settled: the residual influence of a version. seconds: that it took."""
    residual = version.manifest.residual
    return Published(
        parameters=version.parameters,
        method=residual.method,
        reason=residual.reason,
        products=0,
        residual_influence=residual.influence or 0.0,
        settled_influence=settled,
        update=seconds,
    )


def _check(before: Version, after: Version, planned: Plan) -> None:
    """Raises DemoError where the daemon has deleted anything else than what was asked for."""
    expected = before.copy().dataset
    for request in planned.requests:
        expected.delete(resolve(request, expected))
    for name in ("train", "holdout"):
        wanted, found = getattr(expected, name), getattr(after.dataset, name)
        pair = wanted.columns(), found.columns()
        if not all(np.array_equal(*(getattr(each, column) for each in pair)) for column in ("user", "item", "label")):
            raise DemoError(
                f"version {after.manifest.version} has {found.retained} {name} rows that are not the {wanted.retained} "
                "which the requests leave; please report it"
            )
