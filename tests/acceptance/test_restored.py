"""A backup of the store is restored while a daemon runs and a reader follows: each says so, and nothing is lost."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from ifru.snapshots import HistoryReplaced, Reader, open_store
from ifrud.requests.submit import submit
from tests.acceptance.running import Places, await_, daemon, distinct, drawn, erase_pair, lines, pairs, run


def test_daemon_follower_and_audit_say_that_a_backup_was_restored(file_places: Places, tmp_path: Path) -> None:
    places, before = file_places, file_places.version()
    chosen = {f"r{number}": pair for number, pair in enumerate(drawn(before, 5, random.Random(0)))}
    requests = [erase_pair(name, pair) for name, pair in chosen.items()]
    alone = ("--set", "batch.max_requests=1", "--set", "batch.max_backlog=1", "--set", "prove=false")
    shutil.copytree(places.store / "manifests", tmp_path / "backup")
    hint = (places.store / "HEAD.json").read_bytes()
    with daemon(tmp_path / "one", places, *alone, "--set", "refine=false") as running:
        submit(requests[:4], places.events, max_bytes=2**20)
        await_(lambda: len(distinct(lines(places.receipts))) == 4, "four answers")
        held = places.version()
        # Manifests are what a version is: those after the backup are gone, and their files lie about.
        shutil.rmtree(places.store / "manifests")
        shutil.copytree(tmp_path / "backup", places.store / "manifests")
        (places.store / "HEAD.json").write_bytes(hint)
        submit(requests[4:], places.events, max_bytes=2**20)
        assert running.wait() == 5
    assert "the store was probably restored from a backup" in running.log()[-1]["event"]
    with pytest.raises(HistoryReplaced, match="go on from the newest version"):
        Reader(open_store(places.store.as_uri())).advance(held)
    audited = run("ifru", "audit", places.store.as_uri(), "--json")
    assert audited.returncode == 0
    assert [note["what"] for note in json.loads(audited.stdout)["notes"]] == [
        f"is of version {held.manifest.version + 1}, but 1 is the newest: a backup was probably restored"
    ]

    with daemon(tmp_path / "two", places, *alone, "--drain") as again:
        assert again.wait() == 0, again.log()[-1]
    assert pairs(places.version().dataset) == pairs(before.dataset) - Counter(chosen.values())
    audited = run("ifru", "audit", places.store.as_uri())
    assert audited.returncode == 0
    assert "Sound: all" in audited.stdout.splitlines()[-1]
