"""URLs of streams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ifru.errors import IfruError

FORMS = "file:///DIR/NAME.jsonl and kafka://HOST:PORT[,HOST:PORT...]/TOPIC"
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class EndpointError(IfruError, ValueError):
    """A URL that names neither a JSONL file nor a Kafka topic."""


@dataclass(frozen=True)
class FileEndpoint:
    """A JSONL file; the path is absolute."""

    path: Path


@dataclass(frozen=True)
class TopicEndpoint:
    """A Kafka topic, and the brokers (HOST:PORT) that are asked first."""

    servers: tuple[str, ...]
    topic: str


def parse_endpoint(url: str) -> FileEndpoint | TopicEndpoint:
    """Read a URL. Raises EndpointError with the URL, what is wrong with it and what is allowed."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise EndpointError(f"URL is not valid ({error}); allowed are {FORMS}") from None
    if "@" in parts.netloc:
        # The URL is not repeated: what stands before the @ is a secret.
        raise EndpointError(
            "URL holds credentials; they belong in kafka.sasl_username and kafka.sasl_password, not in the URL"
        )
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise _wrong(url, "has a query or a fragment; in a file name, '?' is written %3F and '#' is written %23")
    if parts.scheme == "file":
        return FileEndpoint(_path(url, parts))
    if parts.scheme == "kafka":
        return TopicEndpoint(_servers(url, parts.netloc), _topic(url, parts.path))
    raise _wrong(url, f"has the scheme {parts.scheme!r}" if parts.scheme else "has no scheme")


def same_stream(first: str, second: str) -> bool:
    """Whether two URLs lead to one stream, as far as can be told from them. Raises EndpointError."""
    one, other = parse_endpoint(first), parse_endpoint(second)
    if isinstance(one, FileEndpoint):
        return isinstance(other, FileEndpoint) and one.path.resolve() == other.path.resolve()
    if isinstance(other, FileEndpoint):
        return False
    return one.topic == other.topic and not set(one.servers).isdisjoint(other.servers)


def _path(url: str, parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost"):
        raise _wrong(url, f"names the host {parts.netloc!r}; a path starts after three slashes (file:///DIR/...)")
    if not parts.path.startswith("/"):
        raise _wrong(url, "is relative; a file URL holds an absolute path after three slashes")
    if _STRAY_PERCENT.search(parts.path):
        raise _wrong(url, "has a '%' without two hexadecimal digits; a '%' itself is written %25")
    if "%2f" in parts.path.lower() or "%00" in parts.path:
        raise _wrong(url, "has %2F or %00, which no file name can hold")
    try:
        path = unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        raise _wrong(url, "does not decode to UTF-8") from None
    if any(step in (".", "..") for step in path.split("/")):
        raise _wrong(url, "has '.' or '..' in its path; write the path without them")
    if not path.endswith(".jsonl") or path.endswith("/.jsonl"):
        raise _wrong(url, "does not end in NAME.jsonl")
    return Path(path)


def _servers(url: str, netloc: str) -> tuple[str, ...]:
    servers = tuple(netloc.split(","))
    for server in servers:
        match = _SERVER.fullmatch(server)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise _wrong(url, f"names the broker {server!r}; a broker is HOST:PORT, its port from 1 to 65535")
    return servers


def _topic(url: str, path: str) -> str:
    topic = path.removeprefix("/")
    if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise _wrong(url, f"names the topic {topic!r}; a topic is 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-'")
    return topic


def _wrong(url: str, reason: str) -> EndpointError:
    return EndpointError(f"URL {url!r} {reason}; allowed are {FORMS}")
