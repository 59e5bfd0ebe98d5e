"""`ifru audit`: what is sound ends with 0, what is not with 1, and both say so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ifru.cli import main
from ifru.cli.audit import SHOWN
from ifru.snapshots import Store, open_store
from tests.snapshots.cases import Live, writer


@pytest.fixture
def url(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


@pytest.fixture
def store(url: str) -> Store:
    store, live = open_store(url), Live.new()
    by = writer(store)
    by.commit(live.start(by), live.erase(1))
    return store


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["audit", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, *capfd.readouterr()


def test_a_sound_store_ends_with_0_and_says_what_was_checked(
    store: Store, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capfd, url)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "Sound: all 8 files of 2 versions are what was written, in one history."
    code, out, _ = run(capfd, url, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["sound"], found["newest"], found["files"], found["problems"]) == (True, 2, 8, [])


def test_a_damaged_store_ends_with_1_and_names_the_file_and_what_is_wrong_with_it(
    store: Store, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    [ledger] = [path for path in store.list("ledger") if "000000000002" in path]
    store.put(ledger, store.get(ledger) + b" ")
    code, out, err = run(capfd, url)
    assert (code, err) == (1, "")
    assert f"{ledger}  has " in out
    assert out.splitlines()[-1] == "NOT SOUND: 1 file is not what was written; restore it from a copy."
    code, out, _ = run(capfd, url, "--json")
    assert code == 1
    assert [problem["path"] for problem in json.loads(out)["problems"]] == [ledger]


def test_leftovers_are_counted_and_the_first_are_shown(
    store: Store, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(SHOWN + 5):
        store.put(f"probe/{number:03d}", b"")
    code, out, _ = run(capfd, url)
    assert code == 0
    assert f"{SHOWN + 5} files that no version names" in out
    assert f"probe/{SHOWN - 1:03d}" in out
    assert f"probe/{SHOWN:03d}" not in out
    assert "and 5 more; --json names all" in out


def test_an_empty_prefix_is_wrong_input(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, (tmp_path / "nothing").as_uri())
    assert (code, out) == (2, "")
    assert err.startswith("ifru: there is no version yet")
