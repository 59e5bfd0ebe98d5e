"""A signed statement of what is gone from a store, which anybody checks without the store."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ifru.errors import IfruError
from ifru.snapshots.erasures import erasures
from ifru.snapshots.format import Tombstone
from ifru.snapshots.purge import newest_purge
from ifru.snapshots.reader import Reader
from ifru.stores.store import Store


class CertificateError(IfruError):
    """What a certificate would say is not so, or there is no key to sign it with."""


def signing_key(file: Path) -> Ed25519PrivateKey:
    """A key as `openssl genpkey -algorithm ed25519` writes it. Raises CertificateError."""
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise CertificateError(f"--signing-key: {str(file)!r} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise CertificateError(
            f"--signing-key: {str(file)!r} holds no Ed25519 key without a password in PEM; "
            "`openssl genpkey -algorithm ed25519 -out FILE` makes one"
        )
    return key


def statement(store: Store, since: int, now: datetime) -> dict[str, Any]:
    """What is gone: requests answered after version `since`, and objects of collected versions after that one.

    Looks whether it is so. Raises CertificateError where nothing was purged, or an object is there all the same,
    CorruptFile, StoreError.
    """
    purge = newest_purge(store)
    if purge is None:
        raise CertificateError(
            "nothing was purged yet, so there is nothing to certify: what was erased is in versions that are kept, "
            "until a full version was written after it (full_after_s) and all those before that are collected"
        )
    reader = Reader(store)
    entries = [reader.entry(version) for version in range(since + 1, purge.version)]
    tombstones = [entry for entry in entries if isinstance(entry, Tombstone)]
    for tombstone in tombstones:
        tombstone.check()
    files = [file for tombstone in tombstones for file in tombstone.files]
    if left := sorted({file.path for file in files}.intersection(store.list(""))):
        raise CertificateError(f"{len(left)} objects that should be gone are there, {left[0]} first: collect again")
    gone = erasures(reader, range(since + 1, purge.version + 1))
    return {
        "statement": "no object of the store holds any more what these requests have erased",
        "time": now.isoformat(),
        "hash_key_id": reader.manifest(reader.newest()).hash_key_id,
        "versions": [since + 1, purge.version],
        "manifest_sha256": purge.sha256,
        "requests": [{"source": one.source, "id": one.request_id, "version": one.version} for one in gone],
        "deleted": [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in files],
    }


def certificate(said: dict[str, Any], key: Ed25519PrivateKey) -> bytes:
    """The statement as one string of JSON, the signature of its bytes in UTF-8, and the public key, in base64."""
    text = json.dumps(said, ensure_ascii=False)
    document = {
        "statement": text,
        "signature": base64.b64encode(key.sign(text.encode())).decode(),
        "public_key": base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode(),
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
