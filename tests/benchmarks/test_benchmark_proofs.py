"""What a load is told of the proofs that were found while it came."""

from __future__ import annotations

from datetime import timedelta

from benchmarks.pipeline.proofs import Proofs
from ifru.snapshots import Manifest, ProvenBound, open_store
from tests.daemon.world import TIME, start


def manifest(first: Manifest, seconds: int, of: int | None, published: int = 0, own: bool = False) -> Manifest:
    """A version after so many seconds, whose bound is of a version that was published before."""
    proof = None
    if of is not None:
        proof = ProvenBound(version=of, time=TIME + timedelta(seconds=published), rms_bound=of / 10, relative_gap=0.1)
    quality = {"rms_bound": 0.1} if own else {}
    return first.model_copy(update={"time": TIME + timedelta(seconds=seconds), "proof": proof, "quality": quality})


def test_a_bound_ages_until_the_next_one_is_said_and_not_while_its_version_is_the_newest() -> None:
    first = start(open_store("memory://proofs-of-a-run"))
    run = [
        manifest(first, 0, None),
        manifest(first, 10, 1, published=4),
        manifest(first, 30, 1, published=4),
        manifest(first, 50, 3, published=40),
        manifest(first, 60, 4, published=55, own=True),
        manifest(first, 500, 4, published=55),
    ]
    assert Proofs.of(run) == Proofs(versions=3, known_after=10.0, oldest=46.0, rms_bound=0.4)


def test_where_nothing_was_proven_nothing_is_said() -> None:
    first = start(open_store("memory://no-proofs-of-a-run"))
    assert Proofs.of([manifest(first, 0, None), manifest(first, 10, None)]) == Proofs()
