"""The memory that this process can still have."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from transforms.contract.process.cgroups import cgroup_files

_ROOT = Path("/")


def available_bytes(root: Path = _ROOT) -> int | None:
    """Returns how much the machine and this process's cgroup have left, or None if unknown.

    The page cache that can be given up counts as left. So it is on Linux alone.
    """
    left = [_of_machine(root / "proc/meminfo")]
    limits = cgroup_files(root, first="memory.limit_in_bytes", second="memory.max")
    used = cgroup_files(root, first="memory.usage_in_bytes", second="memory.current")
    for limit, use in zip(limits, used, strict=True):
        left.append(_of_cgroup(limit, use))
    return min((each for each in left if each is not None), default=None)


def _of_machine(file: Path) -> int | None:
    with suppress(OSError):
        for line in file.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_cgroup(limit: Path, used: Path) -> int | None:
    with suppress(OSError, ValueError):  # "max" is no limit
        cached = 0
        for line in limit.with_name("memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                cached = max(cached, int(value))
        return max(0, int(limit.read_text()) - int(used.read_text()) + cached)
    return None
