"""Messages about invalid settings: which field, which value, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from ifru.errors import IfruError


class InvalidSettings(IfruError):
    """Settings that cannot be used, one line a problem."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = list(lines)


def nearest(name: str, names: Iterable[str]) -> str:
    """The valid name that is most like one that was given."""
    return get_close_matches(name, list(names), n=1, cutoff=0)[0]


def problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each thing that pydantic found wrong."""
    return [
        _line(details["loc"], details["type"], details["msg"], details["input"], model) for details in error.errors()
    ]


def _line(loc: tuple[int | str, ...], kind: str, message: str, value: Any, model: type[BaseModel]) -> str:
    field = ".".join(str(part) for part in loc)
    if kind == "extra_forbidden":
        group, start = _group(loc, model)
        close = nearest(str(loc[-1]), group.model_fields)
        return f"{field}: is not a setting; the nearest is {start}{close}"
    if kind == "missing":
        group, _ = _group(loc, model)
        return f"{field}: is not set; allowed are {group.model_fields[str(loc[-1])].description}"
    if kind == "value_error":
        return f"{field}: {message.removeprefix('Value error, ')}"
    if any(secret in field for secret in ("password", "token", "secret", "hash_key")):
        return f"{field}: {message}"
    return f"{field}: {value!r} is not allowed; {message[0].lower()}{message[1:]}"


def _group(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[type[BaseModel], str]:
    """The model that an unknown key was looked up in, and the dotted name it has."""
    start = ""
    for part in loc[:-1]:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model, start = annotation, f"{start}{part}."
    return model, start
