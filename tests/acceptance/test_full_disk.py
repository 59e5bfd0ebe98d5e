"""A disk that is full for some time: that of the receipts, and that of a store in a folder."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ifru.snapshots import Reader, open_store
from ifru.stores.local import STAGING
from ifrud.requests.submit import submit
from tests.acceptance.running import Pair, Places, await_, daemon, distinct, drawn, erase_pair, get, lines, pairs
from tests.fixtures.full_disk import SizeLimit, mounted

REQUESTS = 30
"""In a batch. Their receipts take more than one page of the disk, so the last that fits is cut in two."""


def test_the_same_process_outlasts_full_disks_and_nothing_is_torn(file_places: Places, tmp_path: Path) -> None:
    before = file_places.version()
    chosen = {f"r{n}": pair for n, pair in enumerate(drawn(before, 3 * REQUESTS, random.Random(0)))}
    first, *others = (list(chosen)[begin : begin + REQUESTS] for begin in range(0, len(chosen), REQUESTS))
    with ExitStack() as stack:
        of_receipts = stack.enter_context(mounted(tmp_path / "receipts"))
        of_store = stack.enter_context(mounted(tmp_path / "versions"))
        places = replace(
            file_places,
            store=Path(shutil.copytree(file_places.store, tmp_path / "versions" / "store")),
            receipts=(tmp_path / "receipts" / "receipts.jsonl").as_uri(),
        )
        running = stack.enter_context(daemon(tmp_path, places, "--set", "patience_s=0.1"))
        await_(running.ready, "the daemon")
        _send(places, chosen, first)
        await_(lambda: set(first) <= distinct(lines(places.receipts)).keys(), "the first receipts")
        limit = SizeLimit(running.pid)
        for peer, disk, sent in zip(("receipts", "store"), (of_receipts, of_store), others, strict=True):
            full = disk or limit
            full.fill()
            _send(places, chosen, sent)
            await_(lambda: get(f"{running.url}/readyz").status_code == 503, "it to say that it is not ready")
            if disk is not None:
                assert f"{peer} away since 20" in get(f"{running.url}/readyz").text
            _assert_whole(places)
            full.free()
            await_(lambda sent=sent: set(sent) <= distinct(lines(places.receipts)).keys(), f"receipts after {peer}")  # type: ignore[misc]
            await_(lambda: get(f"{running.url}/readyz").status_code == 200, "it to say that it is ready")
        assert running.stop() == 0, running.log()[-1]

        _assert_whole(places)
        assert {name: len(each) for name, each in distinct(lines(places.receipts)).items()} == dict.fromkeys(chosen, 1)
        assert lines(places.dead_letters) == []
        assert pairs(places.version().dataset) == pairs(before.dataset) - Counter(chosen.values())
        assert [manifest.version for manifest in places.manifests() if manifest.claims is not None] == [2]
        assert list((places.store / STAGING).iterdir()) == []


def _send(places: Places, chosen: dict[str, Pair], names: list[str]) -> None:
    submit((erase_pair(name, chosen[name]) for name in names), places.events, max_bytes=2**20)


def _assert_whole(places: Places) -> None:
    """All versions can be read."""
    reader = Reader(open_store(places.store_url))
    for number in range(1, reader.newest() + 1):
        reader.load(number)
        reader.receipts(number)
