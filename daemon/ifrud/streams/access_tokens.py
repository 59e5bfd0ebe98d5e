"""Access tokens for brokers that ask for OAUTHBEARER: by the client's own credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.client import HTTPException
from threading import Lock
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from kafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider

from ifrud.settings import KafkaSettings

_USUAL_SECONDS = 300.0
"""Life of a token whose server does not say how long it is."""

_SHARE_OF_LIFE = 0.8
"""After this share of a token's life the next one is asked for."""


class AccessTokens(AbstractTokenProvider):  # type: ignore[misc]
    """One token for all connections, until its life nears its end."""

    def __init__(
        self, settings: KafkaSettings, timeout_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._timeout, self._now = settings, timeout_seconds, now
        self._lock = Lock()
        self._token, self._until = "", now()

    def token(self) -> str:
        """A token that is still good. Raises KafkaConnectionError, after which the client tries again."""
        with self._lock:
            if self._now() >= self._until:
                asked = self._now()
                self._token, seconds = self._new()
                self._until = asked + _SHARE_OF_LIFE * seconds
            return self._token

    def _new(self) -> tuple[str, float]:
        """A token, and how many seconds it is good for."""
        settings = self._settings
        secret = settings.oauth_client_secret
        form = {
            "grant_type": "client_credentials",
            "client_id": settings.oauth_client_id,
            "client_secret": "" if secret is None else secret.get_secret_value(),
        } | ({} if settings.oauth_scope is None else {"scope": settings.oauth_scope})
        url = str(settings.oauth_token_url)
        request = Request(url, urlencode(form).encode(), {"Accept": "application/json"})
        try:
            with urlopen(request, timeout=self._timeout) as answer:
                given = json.loads(answer.read())
            return str(given["access_token"]), float(given.get("expires_in", _USUAL_SECONDS))
        except HTTPError as error:
            raise KafkaConnectionError(
                f"kafka.oauth_token_url {url} answered {error.code}; are oauth_client_id, oauth_client_secret and "
                "oauth_scope right?"
            ) from error
        except (OSError, HTTPException) as error:
            raise KafkaConnectionError(f"kafka.oauth_token_url {url} does not answer: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise KafkaConnectionError(
                f"kafka.oauth_token_url {url} answered something else than JSON with an access_token"
            ) from error
