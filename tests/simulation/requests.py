"""What is sent to the daemon in a world, and what is to come of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from tests.daemon.world import TIME, Pair

Kind = Literal["request", "bad"]
Identity = tuple[str, str]


@dataclass(frozen=True)
class Sent:
    """A record as it was sent. number: what tells it from all others, also inside its payload.

    identity: (source, id); content: what makes two requests of one identity the same. Both are None for what is no
    request. pairs: what it erases, as far as that is there. approves: the request that an approval names.
    """

    number: int
    payload: bytes
    identity: tuple[str, str] | None
    content: str | None
    pairs: frozenset[Pair]
    approves: Identity | None = None


class Sender:
    """Makes records. Some are repeated, some are no requests, and some share their identity with another request.

    pairs: all that a data set holds.
    """

    def __init__(self, random: Random, pairs: frozenset[Pair]) -> None:
        self._random = random
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

    def approval(self, of: Identity) -> Sent:
        """One more record, which approves a request."""
        number = len(self._sent)
        named = {"type": "approve", "request": {"id": of[1], "source": of[0]}}
        document = {"id": f"a{number}", "time": TIME.isoformat(), "number": number, **named}
        content = json.dumps(named, sort_keys=True)
        sent = Sent(number, json.dumps(document).encode(), ("", f"a{number}"), content, frozenset(), of)
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
        return Sent(number, json.dumps(document).encode(), identity, json.dumps(content, sort_keys=True), pairs)

    def _content(self) -> tuple[dict[str, object], frozenset[Pair]]:
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
        some = sorted(self._random.sample(self._pairs, self._random.randint(1, 3)))
        return {"type": "erase_interactions", "interactions": [list(pair) for pair in some]}, frozenset(some)
