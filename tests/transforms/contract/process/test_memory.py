"""The memory that is left, by files as Linux has them."""

from __future__ import annotations

from pathlib import Path

from transforms.contract.process.memory import available_bytes

MACHINE = {"proc/meminfo": "MemTotal: 24000 kB\nMemFree: 10 kB\nMemAvailable: 9000 kB\n"}
SECOND = {
    "proc/self/cgroup": "0::/braid.slice\n",
    "sys/fs/cgroup/braid.slice/memory.max": "4096000\n",
    "sys/fs/cgroup/braid.slice/memory.current": "3072000\n",
    "sys/fs/cgroup/braid.slice/memory.stat": "anon 1\ninactive_file 512000\n",
}
FIRST = {
    "proc/self/cgroup": "4:memory:/braid\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "2048000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "1024000\n",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 0\ntotal_inactive_file 256000\n",
}


def left(root: Path, files: dict[str, str]) -> int | None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return available_bytes(root)


def test_without_a_cgroup_what_the_machine_has_is_left(tmp_path):
    assert left(tmp_path, MACHINE) == 9_216_000


def test_a_cgroup_of_either_version_may_have_less(tmp_path):
    assert left(tmp_path / "2", MACHINE | SECOND) == 1_536_000
    assert left(tmp_path / "1", MACHINE | FIRST) == 1_280_000


def test_a_cgroup_without_a_limit_has_what_the_machine_has(tmp_path):
    unlimited = {"sys/fs/cgroup/braid.slice/memory.max": "max\n"}
    assert left(tmp_path, MACHINE | SECOND | unlimited) == 9_216_000


def test_where_linux_tells_nothing_nothing_is_known(tmp_path):
    assert left(tmp_path, {}) is None
