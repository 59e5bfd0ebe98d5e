"""Where versions are kept: a bucket, a local folder, or memory, behind one small protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ifru.stores.errors import StoreError
from ifru.stores.local import LocalStore
from ifru.stores.objects import bucket_store, memory_store


class Store(Protocol):
    """Whole files under paths like `model/000000000001-a/model.safetensors`; safe to use from several threads.

    A write that returns is durable and seen by every later read. One that raises StoreError may have been applied.
    """

    def get(self, path: str) -> bytes:
        """A file. Raises NotFound where there is none."""

    def put(self, path: str, data: bytes) -> None:
        """Write a file, over an older one if there is one; readers see either the old or the new one, whole."""

    def create(self, path: str, data: bytes) -> None:
        """Write a file that must not exist yet; of several that try at once, one succeeds.

        Raises AlreadyExists where it exists. It may exist because this very call wrote it: clients repeat a request
        whose answer was lost. Only reading it back tells.
        """

    def list(self, folder: str) -> list[str]:
        """Paths of all files in a folder and the folders in it, in ascending order.

        Files that are being written, or were when a process died, are only listed as those of the folder STAGING.
        """

    def delete(self, path: str) -> None:
        """Remove a file. One that is not there is no error. One in STAGING stays while its writer may be alive."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""


def open_store(url: str, retry_seconds: float = 60.0, answer_seconds: float | None = None) -> Store:
    """Open a store: a bucket as `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`, a folder as
    `file:///folder`, or `memory://name` (one per name within the process).

    retry_seconds: how long a request to a bucket is repeated before it fails. answer_seconds: how long its answer is
    waited for; None: half a minute for the whole of it. Credentials, region, account and endpoint of a bucket come from
    the usual environment variables: AWS_*, GOOGLE_* and AZURE_*.
    Raises StoreError for a URL of another form, or a store that cannot be opened.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            if parts.netloc not in ("", "localhost") or not parts.path:
                raise StoreError(f"store {url!r} has no absolute path; it is written file:///absolute/folder")
            return LocalStore(Path(unquote(parts.path)))
        case "s3" | "gs" | "az":
            if not parts.netloc:
                raise StoreError(f"store {url!r} names no bucket; it is written {parts.scheme}://bucket/prefix")
            return bucket_store(url, retry_seconds, answer_seconds)
        case "memory":
            return memory_store(url)
        case _:
            raise StoreError(f"store {url!r} is not understood; allowed are {_FORMS}")


_FORMS = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///absolute/folder and memory://name"
