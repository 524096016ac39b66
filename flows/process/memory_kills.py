"""Processes that Linux killed for lack of memory: its counts, before and after a process died."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transforms.contract.process.cgroups import cgroup_files

_ROOT = Path("/")
_OF_TRAINER = "training.batch_size, training.shuffle_bytes or the size of the model"
_OF_TRANSFORMS = "the number of Beam's workers (beam.options: {direct_num_workers: 1})"


def memory_kills(root: Path = _ROOT) -> dict[str, int]:
    """Returns how many processes were killed for memory so far, by the file that says so.

    These are this process's cgroup, of either version (memory.events, memory.oom_control), and the
    whole system (/proc/vmstat). A file that is not there or not readable is left out.
    """
    files = [
        *cgroup_files(root, first="memory.oom_control", second="memory.events"),
        root / "proc/vmstat",
    ]
    counts = {str(file): _oom_kills(file) for file in files}
    return {file: count for file, count in counts.items() if count is not None}


def cause_of_kill(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Returns the part of a sentence that says whether a SIGKILL was for lack of memory."""
    grown = [file for file in after if after[file] > before.get(file, after[file])]
    if grown:
        return f"; meanwhile the system killed for lack of memory (oom_kill of {grown[0]} rose)"
    if after:
        return (
            "; the system may have done so for lack of memory, though its counts of such kills "
            f"({', '.join(after)}) stayed the same"
        )
    return "; most likely the system did so for lack of memory"


def remedy(module: str) -> str:
    """Returns the sentence that says what to lower for a module's steps to need less memory."""
    keys = _OF_TRAINER if module == "trainer" else _OF_TRANSFORMS
    return f"If memory ran out, lower {keys}."


def _oom_kills(file: Path) -> int | None:
    try:
        pairs = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return None
    counts = [int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == "oom_kill"]
    return counts[0] if counts else None
