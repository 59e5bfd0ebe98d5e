"""What limit of memory the daemon finds in control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from ifrud.cgroup import memory_limit

GIB = 1 << 30


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        # Version 2, as a container sees itself, and as a service of systemd does.
        ("0::/\n", {"memory.max": f"{2 * GIB}\n"}, 2 * GIB),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/a.slice/b\n", {"a.slice/b/memory.max": "max\n", "a.slice/memory.max": f"{GIB}\n"}, GIB),
        ("0::/a/b\n", {"a/b/memory.max": f"{GIB}\n", "a/memory.max": f"{3 * GIB}\n"}, GIB),
        # The path is the host's, and the container sees only its own group.
        ("0::/kubepods/pod1/c1\n", {"memory.max": f"{GIB}\n"}, GIB),
        # Version 1, alone and beside an empty version 2.
        ("4:memory:/d/1\n3:cpu:/d/1\n", {"memory/d/1/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
        ("9:cpu,memory:/\n0::/\n", {"memory/memory.limit_in_bytes": f"{GIB}\n", "unified/cgroup.procs": ""}, GIB),
        ("4:memory:/d\n", {"memory/d/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("3:cpu:/d\n", {"memory/d/memory.limit_in_bytes": f"{GIB}\n"}, None),
    ],
)
def test_the_lowest_limit_that_holds_for_the_process_is_found(
    tmp_path: Path, own: str, files: dict[str, str], limit: int | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "own").write_text(own)
    assert memory_limit(tmp_path, tmp_path / "own") == limit


def test_a_system_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path / "own") is None
