"""MovieLens-100K: downloaded from where it is published, checked, and kept for the next time."""

from __future__ import annotations

import hashlib
import io
import os
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from threading import Thread

URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
MD5 = "0e33842e24a9c977be4e0107933c0723"
"""As GroupLens publishes it beside the archive."""

SILENCE = 4.0
"""Seconds for which the server may be silent."""

PATIENCE = 10.0
"""Seconds that the whole download may take."""

_MOST_BYTES = 16 * 1024 * 1024
_ARCHIVE = "ml-100k.zip"
_RATINGS = "ml-100k/u.data"
_HEADER = b"user,item,rating,timestamp\n"


class Unavailable(Exception):
    """MovieLens-100K is not available now; the text says why."""


def movielens(cache: Path, fetch: Callable[[], bytes], md5: str = MD5) -> bytes:
    """The 100,000 ratings as CSV: user, item, rating, timestamp (seconds).

    cache: a folder where the archive is kept. fetch: downloads it. Raises Unavailable.
    """
    kept = cache / _ARCHIVE
    archive = _read(kept)
    if archive is None or _md5(archive) != md5:
        archive = fetch()
        if (found := _md5(archive)) != md5:
            raise Unavailable(f"what came from {URL} has MD5 {found}, not {md5}")
        # Without a cache it is downloaded again the next time.
        with suppress(OSError):
            _keep(kept, archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return _HEADER + file.read(_RATINGS).replace(b"\t", b",")


def fetch(url: str = URL, silence: float = SILENCE, patience: float = PATIENCE) -> bytes:
    """What a server answers. Raises Unavailable, after `patience` seconds at the latest."""
    outcome: list[bytes | Unavailable] = []
    # Looking up a host's name has no time limit of its own.
    thread = Thread(target=lambda: outcome.append(_answer(url, silence)), name="download", daemon=True)
    thread.start()
    thread.join(patience)
    if not outcome:
        raise Unavailable(f"{url} did not arrive within {patience:.0f} s")
    if isinstance(outcome[0], Unavailable):
        raise outcome[0]
    return outcome[0]


def cache_folder(environment: Mapping[str, str], home: Path) -> Path:
    """Where the user's programs keep what they can download again."""
    named = environment.get("XDG_CACHE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else home / ".cache") / "ifru"


def _answer(url: str, silence: float) -> bytes | Unavailable:
    try:
        with urllib.request.urlopen(url, timeout=silence) as response:
            content: bytes = response.read(_MOST_BYTES)
            return content
    except (OSError, HTTPException, ValueError) as error:
        status = isinstance(error, urllib.error.HTTPError)
        reason = error.reason if isinstance(error, urllib.error.URLError) and not status else error
        return Unavailable(f"{url} cannot be downloaded: {reason or type(error).__name__}")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
