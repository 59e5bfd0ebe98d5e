"""Buckets, and memory in the place of one, through obstore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, PreconditionError
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from ifru.stores.errors import AlreadyExists, NotFound, StoreError

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_BUCKETS: dict[str, type[S3Store] | type[GCSStore] | type[AzureStore]] = {
    "s3": S3Store,
    "gs": GCSStore,
    "az": AzureStore,
}
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""Variables of the environment, by scheme."""
PARTS = 4
"""Parts of a large file that are sent at once: they share the line, and each must arrive in the time for an answer."""

_memory: dict[str, MemoryStore] = {}
_memory_lock = Lock()


class ObjectStore:
    """Implements `Store` on an object store. `url` is only shown in errors."""

    def __init__(self, url: str, inner: S3Store | GCSStore | AzureStore | MemoryStore) -> None:
        self._url = url.rstrip("/")
        self._inner = inner

    def get(self, path: str) -> bytes:
        with self._errors("read", path):
            return self._inner.get(path).bytes().to_bytes()

    def put(self, path: str, data: bytes) -> None:
        with self._errors("write", path):
            self._inner.put(path, data, max_concurrency=PARTS)

    def create(self, path: str, data: bytes) -> None:
        with self._errors("create", path):
            self._inner.put(path, data, mode="create")

    def keeps_versions(self, path: str) -> bool:
        """Whether what is deleted stays as an old version. path: of a file to try it with. Raises StoreError."""
        with self._errors("write", path):
            version = self._inner.put(path, b"")["version"]
        self.delete(path)
        # Where versions were kept once and are not any more, all have the version null. Google numbers all files.
        if version in (None, "null"):
            return False
        try:
            with self._errors("read", path):
                self._inner.get(path, options={"version": version})
        except NotFound:
            return False
        except StoreError as error:
            if not isinstance(error.__cause__, PermissionDeniedError):
                raise
        return True

    def list(self, folder: str) -> list[str]:
        with self._errors("list", folder):
            return sorted(entry["path"] for entry in self._inner.list(folder or None).collect())

    def delete(self, path: str) -> None:
        with suppress(NotFound), self._errors("delete", path):
            self._inner.delete(path)

    def exists(self, path: str) -> bool:
        with suppress(NotFound), self._errors("look for", path):
            self._inner.head(path)
            return True
        return False

    @contextmanager
    def _errors(self, doing: str, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotFound(f"{self._url}/{path}: there is no such file") from error
        except (AlreadyExistsError, PreconditionError) as error:
            raise AlreadyExists(f"{self._url}/{path}: exists already") from error
        except (BaseError, OSError, ValueError) as error:
            # The rest of the text is a dump of the client's own data structures.
            reason = str(error).partition("\n\nDebug source")[0]
            raise StoreError(f"{self._url}/{path}: cannot {doing} it: {reason}") from error


def memory_store(url: str) -> ObjectStore:
    """The store of this name within the process."""
    with _memory_lock:
        return ObjectStore(url, _memory.setdefault(url.rstrip("/"), MemoryStore()))


def bucket_store(url: str, retry_seconds: float, answer_seconds: float | None) -> ObjectStore:
    """A prefix of a bucket, or of a container. Plain HTTP is allowed where the endpoint in the environment is so."""
    parts = urlsplit(url)
    options: ClientConfig = {}
    endpoints = (os.environ[name] for name in _ENDPOINTS[parts.scheme] if os.environ.get(name))
    if next(endpoints, "").startswith("http://"):
        options["allow_http"] = True
    if answer_seconds is not None:
        options["read_timeout"] = timedelta(seconds=answer_seconds)
    try:
        inner = _BUCKETS[parts.scheme](
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options=options,
            retry_config={"retry_timeout": timedelta(seconds=retry_seconds)},
        )
    except (BaseError, ValueError) as error:
        raise StoreError(f"{url}: cannot be opened: {error}") from error
    return ObjectStore(url, inner)
