"""Secrets that lie in files, as Kubernetes, Docker and secret stores mount them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr


def with_secrets_from_files(given: Any, model: type[BaseModel]) -> Any:
    """A group of settings as it was given, with each secret `name` read where `name_file` is given.

    A newline at the end is no part of the secret. Raises ValueError where both are given, and where the file cannot be
    read, is not UTF-8 or is empty. It names the file and never what it holds.
    """
    if not isinstance(given, dict):
        return given
    read = {}
    for name, field in model.model_fields.items():
        file = given.get(f"{name}_file")
        if SecretStr not in (field.annotation, *get_args(field.annotation)) or not isinstance(file, str | Path):
            continue
        if given.get(name) is not None:
            raise ValueError(f"{name} and {name}_file are both given; allowed is one of them")
        read[name] = SecretStr(read_secret(f"{name}_file", Path(file)))
    return given | read


def read_secret(name: str, file: Path) -> str:
    """What a file holds. name: what named the file, for errors. Raises ValueError as above."""
    allowed = "allowed is a file that holds the secret and nothing else"
    try:
        secret = file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{name} is {str(file)!r}, which cannot be read ({error.strerror}); {allowed}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name} is {str(file)!r}, which is not UTF-8; {allowed}") from None
    if not secret:
        raise ValueError(f"{name} is {str(file)!r}, which is empty; {allowed}")
    return secret
