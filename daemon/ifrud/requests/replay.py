"""Dead letters as an operator sees them, and the events that they were, to be sent again."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from ifrud.requests.dead_letters import DeadLetter
from ifrud.streams.outboxes import Record
from ifrud.streams.sources import Event


class Listing(BaseModel):
    """Dead letters, each once, and how many records of the stream were none."""

    letters: list[DeadLetter]
    no_letters: int = 0

    @property
    def fields(self) -> dict[str, int]:
        """How many letters there are for each field that was wrong, the most first."""
        return dict(Counter(letter.field for letter in self.letters).most_common())

    def digests(self) -> Listing:
        """The same without what the events held."""
        return self.model_copy(update={"letters": [letter.digest() for letter in self.letters]})


@dataclass(frozen=True)
class Selection:
    """Which letters are meant: those with one of the fields and one of the positions, where any are named."""

    fields: Sequence[str] = ()
    positions: Sequence[str] = ()

    def __contains__(self, letter: DeadLetter) -> bool:
        return (not self.fields or letter.field in self.fields or letter.field.partition(".")[0] in self.fields) and (
            not self.positions or str(letter.position) in self.positions
        )


def listed(events: Iterable[Event], selection: Selection) -> Listing:
    """The selected letters of a stream. One that was written again after a crash is there once."""
    letters: dict[tuple[str, str | None], DeadLetter] = {}
    others = 0
    for event in events:
        try:
            letter = DeadLetter.model_validate_json(event.payload or b"")
        except ValidationError:
            others += 1
            continue
        if letter in selection:
            letters.setdefault((str(letter.position), letter.payload_sha256), letter)
    return Listing(letters=list(letters.values()), no_letters=others)


def original(letter: DeadLetter) -> Record | None:
    """The event that a letter is about; None where not all of it was kept."""
    if letter.payload_truncated or letter.attributes_left_out:
        return None
    headers = tuple((each.name, _bytes(each.value, each.value_base64) or b"") for each in letter.headers)
    return Record(_bytes(letter.key, letter.key_base64), _bytes(letter.payload, letter.payload_base64), headers)


def _bytes(text: str | None, base64: str | None) -> bytes | None:
    if text is not None:
        return text.encode()
    return None if base64 is None else b64decode(base64)
