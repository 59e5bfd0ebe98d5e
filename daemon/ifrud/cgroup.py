"""How much memory the container allows the process, as Linux control groups say it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_NO_LIMIT = 1 << 60
"""Version 1 writes no limit as a number of about this size."""


def memory_limit(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that the process and its kin may take together; None where nothing bounds them.

    groups: where control groups are mounted, of either version. own: which ones the process belongs to.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [limit for line in lines for file in _files(groups, line) if (limit := _read(file)) is not None]
    return min(found, default=None)


def _files(groups: Path, line: str) -> Iterator[Path]:
    """The files with the limits of a group and of those above it. line: `id:controllers:path`."""
    _, controllers, path = line.split(":", 2)
    if controllers == "":
        roots, name = [groups, groups / "unified"], "memory.max"
    elif "memory" in controllers.split(","):
        roots, name = [groups / "memory"], "memory.limit_in_bytes"
    else:
        return
    # In a container the path may be that of the host, whose upper part is not to be seen from inside.
    for root in roots:
        group = root / path.strip("/")
        yield from (above / name for above in (group, *group.parents) if above.is_relative_to(root))


def _read(file: Path) -> int | None:
    try:
        limit = int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # There is no such group, or it says `max`.
        return None
    return limit if limit < _NO_LIMIT else None
