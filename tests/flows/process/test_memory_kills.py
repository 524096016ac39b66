"""Linux's counts of processes that it killed for memory, in literal files of its own forms."""

from __future__ import annotations

import pytest

from flows.process.memory_kills import cause_of_kill, memory_kills, remedy

V2 = {
    "proc/self/cgroup": "0::/braid.slice\n",
    "sys/fs/cgroup/braid.slice/memory.events": "low 0\nhigh 0\nmax 7\noom 3\noom_kill {}\n",
}
V1 = {
    "proc/self/cgroup": "4:memory:/braid\n3:cpuset:/\n",
    "sys/fs/cgroup/memory/braid/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill {}",
}
HOST = {"proc/vmstat": "pgfault 9\noom_kill {}\n"}


def counts(root, files, kills):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.format(kills))
    return memory_kills(root)


@pytest.mark.parametrize("files", [V2, V1, HOST], ids=["cgroup 2", "cgroup 1", "system"])
def test_a_kill_for_memory_is_told_with_the_file_that_counts_it(tmp_path, files):
    before, after = counts(tmp_path, files, 2), counts(tmp_path, files, 3)
    assert list(before.values()) == [2]
    told = cause_of_kill(before, after)
    assert "meanwhile the system killed for lack of memory" in told
    assert next(iter(after)) in told


def test_a_kill_that_no_file_counts_may_still_have_been_for_memory(tmp_path):
    before = counts(tmp_path, HOST, 2)
    assert "may have done so for lack of memory, though" in cause_of_kill(before, before)


def test_without_a_file_that_counts_memory_is_likely(tmp_path):
    assert memory_kills(tmp_path) == {}
    assert "most likely the system did so for lack of memory" in cause_of_kill({}, {})


def test_each_package_names_the_keys_that_save_memory_in_it():
    assert "training.shuffle_bytes" in remedy("trainer")
    assert "direct_num_workers: 1" in remedy("transforms")
