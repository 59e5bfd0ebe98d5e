"""What is no request never blocks the stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kafka import KafkaProducer

from ifrud.streams.endpoints import FileEndpoint, parse_endpoint
from tests.acceptance.running import Places, daemon, lines, pairs, request

LARGE = request("r-large", type="erase_user", subject="u1", note="x" * 1_000_000)
BAD: dict[str, tuple[bytes | None, str]] = {
    "malformed JSON": (b'{"id": "r-bad", ', "payload: is not valid JSON"),
    "unknown type": (request("r-type", type="erase_everything"), "type: is unknown; it is one of erase_user,"),
    "no subject": (request("r-subject", type="erase_user"), "subject: is missing"),
    "1 MB": (LARGE, f"payload: has {len(LARGE)} bytes, at most 262144 are allowed"),
    "null": (None, "payload: is "),
}


@pytest.fixture(params=["jsonl", "kafka"])
def places(request: pytest.FixtureRequest) -> Places:
    return request.getfixturevalue("file_places" if request.param == "jsonl" else "kafka_places")  # type: ignore[no-any-return]


def append(url: str, *payloads: bytes | None) -> None:
    """As any producer would, without our outboxes. A file has no null; the word stands for it."""
    endpoint = parse_endpoint(url)
    if isinstance(endpoint, FileEndpoint):
        with endpoint.path.open("ab") as file:
            file.writelines((b"null" if payload is None else payload) + b"\n" for payload in payloads)
        return
    producer = KafkaProducer(bootstrap_servers=list(endpoint.servers), acks="all")
    try:
        for sent in [producer.send(endpoint.topic, payload, key=b"k") for payload in payloads]:
            sent.get(timeout=30)
    finally:
        producer.close()


def test_bad_events_are_dead_lettered_with_their_field_and_the_stream_goes_on(places: Places, tmp_path: Path) -> None:
    before = pairs(places.version().dataset)
    append(
        places.events,
        request("r-first", type="erase_user", subject="u1"),
        *(payload for payload, _ in BAD.values()),
        request("r-unknown", type="erase_user", subject="nobody"),
        request("r-last", type="erase_user", subject="u2"),
    )
    with daemon(tmp_path, places, "--drain") as running:
        assert running.wait() == 0, running.log()[-1]

    letters = lines(places.dead_letters)
    assert len(letters) == len(BAD)
    for letter, (payload, reason) in zip(letters, BAD.values(), strict=True):
        assert str(letter["reason"]).startswith(reason)
        assert letter["field"] == reason.partition(":")[0]
        position = letter["position"]
        assert isinstance(position, dict)
        assert position["source"] == parse_name(places.events)
        assert letter["payload"] == kept(payload, places.events)
    states = {receipt["request_id"]: receipt["state"] for receipt in lines(places.receipts)}
    assert states == {"r-first": "published", "r-unknown": "nothing_to_erase", "r-last": "published"}
    after = pairs(places.version().dataset)
    assert after == type(before)({pair: n for pair, n in before.items() if pair[0] not in ("u1", "u2")})
    log = json.dumps(running.log())
    assert not [name for name in ("r-first", "r-unknown", '"u1"', '"u2"', "nobody") if name in log]


def parse_name(url: str) -> str:
    return url.rpartition("/")[2]


def kept(payload: bytes | None, url: str) -> str | None:
    """What a dead letter holds of a payload."""
    if payload is None:
        return "null" if url.startswith("file:") else None
    return payload[:1024].decode() if payload is LARGE else payload.decode()


def test_too_many_bad_events_in_a_row_stop_the_daemon_which_says_what_to_do(places: Places, tmp_path: Path) -> None:
    append(places.events, *[b"{"] * 20)
    with daemon(tmp_path, places, "--drain", "--set", "max_consecutive_bad=10") as running:
        assert running.wait() == 5
    assert "raise max_consecutive_bad" in running.log()[-1]["event"]
    assert places.published() == 2, "more than its claim was published"
