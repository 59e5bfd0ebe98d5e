"""What all Kafka clients of the daemon share: arguments, time limits and errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from ifru.errors import IfruError
from ifrud.settings import KafkaSettings
from ifrud.streams.access_tokens import AccessTokens

CLIENT_ID = "ifrud"
RECONNECT_MS = 5_000
"""The longest pause before a broker that was away is tried again; the client's own is half a minute."""
_SSL_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")


@dataclass(frozen=True)
class Timeouts:
    """How long a client waits, in milliseconds.

    bootstrap: for the first broker to answer. request: for one answer.
    delivery: for a record to be acknowledged, retries included; the daemon's heart does not beat meanwhile.
    group: for an answer about a group's offsets.
    metadata: the age at which what is known of a topic is asked for again, so that new partitions are found.
    """

    bootstrap: int = 30_000
    request: int = 10_000
    delivery: int = 20_000
    group: int = 5_000
    metadata: int = 10_000


DEFAULT_TIMEOUTS = Timeouts()


class _Connections(KafkaConnectionManager):  # type: ignore[misc]
    """Pauses after a connection that was ended before the broker has said a word, as after one that was refused.

    Proxies accept connections to a broker that is away. The client takes these for made, and tries again at once.
    """

    async def _connect(
        self, node: Any, conn: Any, reset_backoff_on_connect: bool = True, timeout_at: float | None = None
    ) -> None:
        before = self._backoff.get(node.node_id)
        await super()._connect(node, conn, False, timeout_at)
        if not reset_backoff_on_connect:
            return
        if not conn.closed:
            self.reset_backoff(node.node_id)
        elif self._backoff.get(node.node_id) == before:
            self.update_backoff(node.node_id)


def _client(**configs: Any) -> KafkaNetClient:
    network = NetworkSelector(**configs)
    return KafkaNetClient(network, _Connections(network, **configs))


@contextmanager
def raising(kind: type[IfruError], what: str) -> Iterator[None]:
    """Turn the client's errors into one of ours, with `what` in front."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise kind(f"{what}: {error}") from error


@contextmanager
def connecting(kind: type[IfruError], servers: Sequence[str]) -> Iterator[None]:
    """Turn the client's errors while it connects into one of ours that says what to look at."""
    try:
        yield
    except KafkaTimeoutError as error:
        raise kind(
            f"no Kafka broker answered at {', '.join(servers)}; is the address right, is the broker up, "
            "and does it expect another kafka.security_protocol or other credentials?"
        ) from error
    except (KafkaError, OSError) as error:
        raise kind(f"Kafka at {', '.join(servers)}: {error}") from error


def arguments(servers: Sequence[str], settings: KafkaSettings, timeouts: Timeouts) -> dict[str, Any]:
    """Arguments for every kafka-python client.

    Raises FileNotFoundError for a certificate or key file that does not exist: the client itself would only retry.
    """
    result: dict[str, Any] = {
        "bootstrap_servers": list(servers),
        "client_id": CLIENT_ID,
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": timeouts.bootstrap,
        "request_timeout_ms": timeouts.request,
        "metadata_max_age_ms": timeouts.metadata,
        "reconnect_backoff_max_ms": RECONNECT_MS,
        "kafka_client": _client,
    }
    if settings.security_protocol.startswith("SASL"):
        result |= _sasl(settings, timeouts)
    if settings.security_protocol.endswith("SSL"):
        result |= _ssl(settings)
    return result


def _sasl(settings: KafkaSettings, timeouts: Timeouts) -> dict[str, Any]:
    if settings.sasl_mechanism == "OAUTHBEARER":
        tokens = AccessTokens(settings, timeouts.request / 1000)
        return {"sasl_mechanism": settings.sasl_mechanism, "sasl_oauth_token_provider": tokens}
    password = settings.sasl_password
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": None if password is None else password.get_secret_value(),
    }


def _ssl(settings: KafkaSettings) -> dict[str, Any]:
    result: dict[str, Any] = {"ssl_check_hostname": settings.ssl_check_hostname}
    for name in _SSL_FILES:
        path = getattr(settings, name)
        if path is None:
            continue
        if not path.is_file():
            raise FileNotFoundError(f"kafka.{name} is {str(path)!r}; there is no such file")
        result[name] = str(path)
    if settings.ssl_password is not None:
        result["ssl_password"] = settings.ssl_password.get_secret_value()
    return result
