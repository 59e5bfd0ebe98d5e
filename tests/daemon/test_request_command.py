"""`ifru request`: what became of a request, from the store alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ifru.cli import main
from ifru.snapshots import open_store
from tests.daemon.world import World, erase_pairs, erase_user, request, unbearable


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["request", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, *capfd.readouterr()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


def test_a_life_has_each_state_with_its_version_and_what_it_waits_for(
    tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, open_store(url))
    world.submit(erase_user("r1", 3), request("r2", type="erase_user", subject="USER 4"))
    world.drain()
    published = next(manifest.version for manifest in world.done() if manifest.events)
    code, out, _ = run(capfd, url, "r1", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["id"], found["source"]) == ("r1", "")
    assert [(state["state"], state["version"]) for state in found["states"]] == [("published", published)]
    assert found["states"][0]["residual_influence"] is not None
    assert "full version" in found["waits_for"]
    code, out, _ = run(capfd, url, "r1")
    assert code == 0
    assert f"published (version {published})" in out
    code, out, _ = run(capfd, url, "r2")
    assert code == 0
    assert "spelling" in out
    assert "nothing" in out.splitlines()[-1]


def test_a_receipt_that_was_repeated_is_one_state(tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]) -> None:
    world = World(tmp_path, open_store(url))
    for _ in range(2):
        world.submit(erase_user("r1", 3))
        world.drain(full_every=1)
    _, out, _ = run(capfd, url, "r1", "--json")
    found = json.loads(out)
    assert len(found["states"]) == 1
    assert "ifru collect" in found["waits_for"]


def test_a_life_can_be_told_when_its_version_was_collected(
    tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, open_store(url))
    world.submit(erase_user("r1", 3))
    world.drain(full_every=1)
    [answering] = [manifest for manifest in world.done() if manifest.events]
    world.submit(erase_user("r2", 4))
    world.drain(full_every=1)
    with pytest.raises(SystemExit):
        main(["collect", url, "--older-than", "0s"])
    code, out, _ = run(capfd, url, "r1", "--json")
    assert code == 0
    assert [state["version"] for state in json.loads(out)["states"]] == [answering.version]
    assert "all that it erased is gone" in json.loads(out)["waits_for"]


def test_a_request_that_failed_and_was_sent_again_has_both_states(
    tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    weights, chosen = unbearable(5)
    world = World(tmp_path, open_store(url), weights=weights)
    for _ in range(2):
        world.submit(erase_pairs("hard", chosen))
        world.drain()
    _, out, _ = run(capfd, url, "hard", "--json")
    found = json.loads(out)
    assert [state["state"] for state in found["states"]] == ["failed", "failed"]
    assert "dead letter" in found["waits_for"]


def test_an_id_of_several_sources_is_told_apart_by_the_source(
    tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, open_store(url))
    asked = {"type": "erase_user", "subject": "user 3"}
    world.submit(*(request("r1", source=source, **asked) for source in ("crm", "shop")))
    world.drain()
    code, _, err = run(capfd, url, "r1")
    assert code == 2
    assert "'crm', 'shop'" in err
    code, out, _ = run(capfd, url, "r1", "--source", "crm", "--json")
    assert code == 0
    assert [state["state"] for state in json.loads(out)["states"]] == ["published"]
    code, _, err = run(capfd, url, "r1", "--source", "mail")
    assert code == 2
    assert "'crm', 'shop'" in err


def test_an_id_that_no_version_answers_is_an_error_that_says_where_to_look(
    tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    World(tmp_path, open_store(url))
    code, out, err = run(capfd, url, "r1")
    assert (code, out) == (2, "")
    assert "'r1'" in err
    assert "dead-letters" in err


def test_a_life_tells_why_a_request_is_held_and_that_it_was_carried_out_later(
    tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, open_store(url))
    world.submit(erase_user("r1", 3))
    world.drain(brake_share=0)
    _, out, _ = run(capfd, url, "r1")
    assert "brake_share allows" in out.replace("\n", " ")
    _, out, _ = run(capfd, url, "r1", "--json")
    assert json.loads(out)["waits_for"] == "a decision (ifrud approve, or ifrud reject)"
    world.submit(request("a1", type="approve", request={"id": "r1"}))
    world.drain(brake_share=0)
    _, out, _ = run(capfd, url, "r1", "--json")
    assert [state["state"] for state in json.loads(out)["states"]] == ["held", "published"]
