"""What is sent to the daemon in a world, and what is to come of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from tests.daemon.world import TIME, Pair

Kind = Literal["request", "bad"]
Identity = tuple[str, str]
NO_TIMES: Mapping[Pair, int] = {}


@dataclass(frozen=True)
class Sent:
    """A record as it was sent. number: what tells it from all others, also inside its payload.

    identity: (source, id); content: what makes two requests of one identity the same. Both are None for what is no
    request. pairs: what it erases, as far as that is there. approves, rejects: the request that a decision names.
    corrects: pairs that get another label.
    """

    number: int
    payload: bytes
    identity: tuple[str, str] | None
    content: str | None
    pairs: frozenset[Pair]
    approves: Identity | None = None
    rejects: Identity | None = None
    corrects: Mapping[Pair, float] = field(default_factory=dict)


class Sender:
    """Makes records. Some are repeated, some are no requests, and some share their identity with another request.

    pairs: all that a data set holds. times: when each was recorded, in microseconds since 1970; where there are none,
    nothing is erased by its time.
    """

    def __init__(self, random: Random, pairs: frozenset[Pair], times: Mapping[Pair, int] = NO_TIMES) -> None:
        self._random, self._times = random, times
        self._pairs = sorted(pairs)
        self._users = sorted({user for user, _ in pairs})
        self._items = sorted({item for _, item in pairs})
        self._sent: list[Sent] = []

    def next(self) -> Sent:
        """One more record."""
        number, drawn = len(self._sent), self._random.random()
        earlier = [each for each in self._sent if each.identity is not None]
        if drawn < 0.06:
            sent = Sent(number, self._bad(number), None, None, frozenset())
        elif drawn < 0.25 and earlier:
            sent = self._repeated(number, self._random.choice(earlier))
        else:
            clash = self._random.choice(earlier).identity if drawn < 0.32 and earlier else None
            sent = self._request(number, clash or (self._random.choice(("", "crm")), f"r{number}"))
        self._sent.append(sent)
        return sent

    def decision(self, of: Identity, approves: bool) -> Sent:
        """One more record, which approves or rejects a request."""
        number = len(self._sent)
        named = {"type": "approve" if approves else "reject", "request": {"id": of[1], "source": of[0]}}
        document = {"id": f"a{number}", "time": TIME.isoformat(), "number": number, **named}
        payload, content = json.dumps(document).encode(), json.dumps(named, sort_keys=True)
        decided = {"approves" if approves else "rejects": of}
        sent = Sent(number, payload, ("", f"a{number}"), content, frozenset(), **decided)
        self._sent.append(sent)
        return sent

    def _bad(self, number: int) -> bytes:
        forms = (f"number {number} is no JSON", f'{{"number": {number}, "type": "erase_user"}}', f"[{number}]")
        return self._random.choice(forms).encode()

    def _repeated(self, number: int, earlier: Sent) -> Sent:
        document = json.loads(earlier.payload) | {"number": number}
        return replace(earlier, number=number, payload=json.dumps(document).encode())

    def _request(self, number: int, identity: tuple[str, str]) -> Sent:
        content, pairs = self._content()
        document = {"id": identity[1], "source": identity[0], "time": TIME.isoformat(), "number": number, **content}
        told = {tuple(pair): content["label"] for pair in content["interactions"]} if "label" in content else {}
        payload, asked = json.dumps(document).encode(), json.dumps(content, sort_keys=True)
        return Sent(number, payload, identity, asked, pairs, corrects=told)

    def _content(self) -> tuple[dict[str, Any], frozenset[Pair]]:
        drawn = self._random.random()
        if drawn < 0.25:
            user = self._random.choice(self._users)
            found = frozenset(pair for pair in self._pairs if pair[0] == user)
            return {"type": "erase_user", "subject": user}, found
        if drawn < 0.3:
            item = self._random.choice(self._items)
            return {"type": "erase_item", "subject": item}, frozenset(p for p in self._pairs if p[1] == item)
        if drawn < 0.4:
            return {"type": "erase_user", "subject": "nobody"}, frozenset()
        if drawn < 0.45:
            return {"type": "release", "subject": self._random.choice(self._users)}, frozenset()
        return self._of_pairs(drawn)

    def _of_pairs(self, drawn: float) -> tuple[dict[str, Any], frozenset[Pair]]:
        if drawn < 0.52 and self._times:
            user, before = self._random.choice(self._users), self._random.choice(sorted(self._times.values()))
            found = frozenset(p for p in self._pairs if p[0] == user and self._times[p] < before)
            until = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=before)
            return {"type": "erase_before", "subject": user, "before": until.isoformat()}, found
        if drawn < 0.6:
            some, label = self._random.sample(self._pairs, self._random.randint(1, 3)), self._random.choice((0.0, 1.0))
            return {
                "type": "rectify",
                "interactions": [list(pair) for pair in sorted(some)],
                "label": label,
            }, frozenset()
        some = sorted(self._random.sample(self._pairs, self._random.randint(1, 3)))
        return {"type": "erase_interactions", "interactions": [list(pair) for pair in some]}, frozenset(some)
