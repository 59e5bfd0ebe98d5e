"""`ifru rekey`: the key of hashes is rotated."""

from __future__ import annotations

import os
import secrets
import uuid
from pathlib import Path
from typing import Annotated

import typer

from ifru.cli.next_version import committed
from ifru.cli.options import HashKeyFile, Json, StoreUrl, outside_key
from ifru.cli.output import print_facts, print_json, progress
from ifru.errors import IfruError
from ifru.snapshots import Reader, Store, hash_key_of, key_id, open_store
from ifru.snapshots.hash_key import KEY_BYTES, encode_hash_key, rotated_path
from ifru.snapshots.rekeyed import rekeyed


def rekey(
    url: StoreUrl,
    new_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the new key there, for the daemon (hash_key_file) and other commands (--hash-key-file), and "
            "not into the store. Needed where the key is not kept in the store.",
            show_default=False,
        ),
    ] = None,
    hash_key_file: HashKeyFile = None,
    json: Json = False,
) -> None:
    """Rotate the key of hashes: publish the newest version once more, with all of its hashes made anew.

    Whoever has the old key alone can test nothing in it. The new key holds the old one, so nothing is forgotten:
    neither requests that were answered nor who is not to come back. Stop the daemon first. Versions before, which have
    hashes of the old key, stay until they are collected (ifru collect).
    """
    outside, store = outside_key(hash_key_file), open_store(url)
    if outside is not None and new_key_file is None:
        raise IfruError("the key is not kept in the store, so say where the new one goes: --new-key-file FILE")
    with progress() as report:
        reader = Reader(store)
        newest = reader.load()
        key, new = hash_key_of(store, newest.manifest.hash_key_id, outside), secrets.token_bytes(KEY_BYTES)
        report("publishing", None)
        change = rekeyed(reader, newest, key, new)
        where = _keep(store, key + new, new_key_file)
        version = committed(store, newest.manifest, change, uuid.uuid4().hex)
    facts = {"version": version, "hash_key_id": key_id(key + new), "key": where}
    if json:
        print_json(facts)
    else:
        print_facts(facts)


def _keep(store: Store, key: bytes, file: Path | None) -> str:
    """Write a key where nothing is yet, so that no other one is lost; where. Before any version needs it."""
    if file is None:
        path = rotated_path(key_id(key))
        store.create(path, encode_hash_key(key))
        return path
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(key.hex() + "\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise IfruError(f"--new-key-file: {str(file)!r} cannot be written ({error.strerror})") from None
    return str(file)
