"""Files by which Linux tells of a process's cgroup, whose memory may be less than the machine's."""

from __future__ import annotations

from pathlib import Path


def cgroup_files(root: Path, *, first: str, second: str) -> list[Path]:
    """Returns where a file of this process's memory cgroup may lie, its own folder first.

    Args:
        root: The root of the file system.
        first: The file's name in version 1.
        second: Its name in version 2.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    files, mount = [], root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        places = [mount / path.lstrip("/"), mount]  # a container may see its own at the top
        if "memory" in controllers.split(","):
            places = [mount / "memory" / path.lstrip("/"), mount / "memory"]
            files += [place / first for place in places]
        elif not controllers:
            files += [place / second for place in places]
    return list(dict.fromkeys(files))
