"""Checks a certificate of `ifru collect` offline: `python verify_certificate.py certificate.json public.pem`."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def verified(certificate: Path, public_key: Path) -> Any:
    """What a certificate says. Raises cryptography.exceptions.InvalidSignature where another key signed it, or none."""
    document = json.loads(certificate.read_bytes())
    key = load_pem_public_key(public_key.read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.b64decode(document["signature"]), document["statement"].encode())
    return json.loads(document["statement"])


if __name__ == "__main__":
    said = verified(*map(Path, sys.argv[1:]))
    print(f"{said['time']}: {said['statement']}")
    for request in said["requests"]:
        print(f"request {request['id']!r} of {request['source']!r}, erased by version {request['version']}")
