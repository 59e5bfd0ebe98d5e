"""The histogram of latencies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from ifrud.observe.metrics import Latency

BUCKETS = (0.5, 1.0, 5.0)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 5.0, 9.5]), st.integers(1, 5))))
def test_many_equal_observations_count_as_if_they_came_one_by_one(seen: list[tuple[float, int]]) -> None:
    once, each = Latency("x", "x", buckets=BUCKETS, registry=None), Histogram("x", "x", buckets=BUCKETS, registry=None)
    for seconds, times in seen:
        once.observe_many(seconds, times)
        for _ in range(times):
            each.observe(seconds)
    assert shown(once) == shown(each)


def shown(histogram: Histogram) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(histogram)
    samples = [sample for family in registry.collect() for sample in family.samples]
    return {(s.name, *s.labels.values()): s.value for s in samples if not s.name.endswith("_created")}
