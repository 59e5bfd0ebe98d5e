"""Where the demo's data comes from."""

from __future__ import annotations

import hashlib
import io
import socket
import zipfile
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from ifru.interactions.labels import LabelRule
from ifrud_demo.data import movielens_or_generated
from ifrud_demo.movielens import Unavailable, cache_folder, fetch, movielens

RULE = LabelRule.parse("rating>=4")


def archive() -> bytes:
    """Laid out as GroupLens does."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("ml-100k/u.data", "".join(f"{n % 7}\t{n}\t{n % 5 + 1}\t88125094{n % 10}\n" for n in range(50)))
    return content.getvalue()


ARCHIVE = archive()
MD5 = hashlib.md5(ARCHIVE).hexdigest()


def refuse() -> bytes:
    raise Unavailable("there is no network")


def test_ratings_come_as_csv_that_the_loader_reads(tmp_path: Path) -> None:
    data = movielens_or_generated(RULE, partial(movielens, tmp_path, lambda: ARCHIVE, MD5), tmp_path / "ratings.csv")
    assert (data.name, data.remark) == ("MovieLens-100K", "")
    train, holdout = data.dataset.train, data.dataset.holdout
    assert (train.users, train.items, len(train), len(holdout)) == (7, 50, 40, 10)
    assert np.concatenate([train.label, holdout.label]).sum() == 20
    assert train.time is not None
    assert train.time.min() >= 881250940_000_000


@pytest.mark.parametrize("kept", [ARCHIVE, b"half of it"])
def test_an_archive_is_downloaded_once_and_again_where_it_was_damaged(tmp_path: Path, kept: bytes) -> None:
    cache = tmp_path / "cache"
    first = movielens(cache, lambda: ARCHIVE, MD5)
    (file,) = cache.iterdir()
    assert movielens(cache, refuse, MD5) == first
    file.write_bytes(kept)
    damaged = kept != ARCHIVE
    if damaged:
        with pytest.raises(Unavailable):
            movielens(cache, refuse, MD5)
    assert movielens(cache, (lambda: ARCHIVE) if damaged else refuse, MD5) == first


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert movielens(tmp_path / "file" / "cache", lambda: ARCHIVE, MD5).startswith(b"user,item,rating,timestamp\n")


def test_an_archive_with_another_checksum_is_not_used_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=f"has MD5 {MD5}, not 0e33842e24a9c977be4e0107933c0723"):
        movielens(tmp_path, lambda: ARCHIVE)
    assert list(tmp_path.iterdir()) == []


def test_generated_ratings_of_the_same_size_take_its_place_and_the_reason_is_told(tmp_path: Path) -> None:
    data = movielens_or_generated(RULE, refuse, tmp_path / "ratings.csv")
    assert data.remark == "MovieLens-100K cannot be had: there is no network"
    train, holdout = data.dataset.train, data.dataset.holdout
    assert (train.users, train.items, len(train) + len(holdout)) == (943, 1682, 100_000)


def test_a_file_is_fetched_and_a_missing_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "a.zip").write_bytes(b"content")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        assert fetch(f"{url}/a.zip") == b"content"
        with pytest.raises(Unavailable, match="cannot be downloaded: HTTP Error 404"):
            fetch(f"{url}/b.zip")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.mark.parametrize(("silence", "patience", "said"), [(0.05, 60.0, "timed out"), (60.0, 0.05, "did not arrive")])
def test_a_server_that_says_nothing_is_not_waited_for(
    silence: float, patience: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with closing(socket.create_server(("127.0.0.1", 0))) as mute, pytest.raises(Unavailable, match=said):
        fetch(f"http://127.0.0.1:{mute.getsockname()[1]}/", silence, patience)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, "/home/a/.cache/ifru"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/ifru"),
        ({"XDG_CACHE_HOME": "c"}, "/home/a/.cache/ifru"),
    ],
)
def test_the_cache_is_where_the_users_other_caches_are(environment: dict[str, str], folder: str) -> None:
    assert cache_folder(environment, Path("/home/a")) == Path(folder)
