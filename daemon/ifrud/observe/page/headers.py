"""What browsers are told about the status page."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from ifrud.observe.page.style import STYLE

_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
"""Nothing but the page's own style sheet is loaded or run, and nobody keeps, frames or passes on what it shows."""
