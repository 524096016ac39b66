"""The cost of a row on Flink, in wall and in CPU seconds, and of a run without rows.

The CPU seconds of a side are those of all its processes, Java's and workers' among them: on a
machine that does other work as well they say what wall seconds do not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.measuring import Cost
from tests.benchmarks.report import Report
from tests.support.command import processes
from tests.support.flink_cluster import Cluster

COLUMNS = ("", "rows", "wall s", "CPU s", "fixed s", "rows/s beyond", "CPU µs/row beyond", "load")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Trial:
    """Both steps of one side on one table.

    Attributes:
        seconds: Wall seconds of both steps, without the imports of their processes.
        cpu_seconds: User and system seconds of all processes of the side meanwhile, without the
            imports of the steps.
        load: The machine's load average of a minute at the end.
    """

    seconds: float
    cpu_seconds: float
    load: float


def trial_of(steps: Mapping[str, Cost], cluster_cpu: float) -> Trial:
    """Returns a trial by the cost of its steps' processes and of the cluster's."""
    both = reduce(Cost.plus, steps.values())
    return Trial(both.seconds, both.cpu_seconds + cluster_cpu, os.getloadavg()[0])


def cpu_of(cluster: Cluster | None) -> float:
    """Returns the user and system seconds so far of a cluster's processes, ended ones among them.

    An ended one counts once its parent has heard of it, as the system adds it to that one's.
    """
    if cluster is None:
        return 0.0
    return sum(_cpu_of_session(pid, cluster.sessions()) for pid in processes())


def _cpu_of_session(pid: int, sessions: set[int]) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    if int(stat[3]) not in sessions:
        return 0.0
    return sum(map(int, stat[11:15])) / _TICKS  # its own, and of its children that have ended


@dataclass(frozen=True)
class Line:
    """A line through the medians of two tables' trials: seconds = fixed + rows / rows_per_second.

    Attributes:
        fixed: Wall seconds of a run without rows.
        rows_per_second: By wall seconds beyond these.
        cpu_per_row: CPU seconds beyond those of a run without rows.
    """

    fixed: float
    rows_per_second: float
    cpu_per_row: float

    @classmethod
    def through(cls, few: int, fewer: Sequence[Trial], many: int, more: Sequence[Trial]) -> Line:
        """Returns the line through trials of a small and of a large table."""
        walls = [median(t.seconds for t in trials) for trials in (fewer, more)]
        cpus = [median(t.cpu_seconds for t in trials) for trials in (fewer, more)]
        slope = (walls[1] - walls[0]) / (many - few)
        return cls(walls[0] - slope * few, 1 / slope, (cpus[1] - cpus[0]) / (many - few))


def report(trials: Mapping[tuple[str, int], Sequence[Trial]], command: str) -> None:
    """Prints and keeps what a row costs on either side.

    Args:
        trials: Of both sides on both tables, by side and rows: in-process first, the small table
            first.
        command: What repeats it.
    """
    sides = list(dict.fromkeys(side for side, _ in trials))
    few, many = sorted({rows for _, rows in trials})
    through = {
        side: Line.through(few, trials[side, few], many, trials[side, many]) for side in sides
    }
    here, there = (through[side] for side in sides)
    Report(
        title=f"A row on Flink: {few:,} and {many:,} mixed rows, two TaskManagers on this machine",
        command=command,
        columns=COLUMNS,
        lines=[_cells(side, rows, trials, through[side]) for side in sides for rows in (few, many)],
        sentences=[
            f"Beyond what a run costs without rows, Flink does {_share(there, here):.2f} of the "
            f"in-process rows a wall second, and {here.cpu_per_row / there.cpu_per_row:.2f} of "
            "them a CPU second.",
            f"A run on Flink costs {there.fixed:.1f} s without rows, imports of the two steps "
            f"apart; in-process {here.fixed:.1f} s.",
        ],
        details=_details(trials),
    ).keep("flink_slope")


def _share(there: Line, here: Line) -> float:
    return there.rows_per_second / here.rows_per_second


def _cells(
    side: str, rows: int, trials: Mapping[tuple[str, int], Sequence[Trial]], line: Line
) -> tuple[str, ...]:
    some = trials[side, rows]
    return (
        side,
        f"{rows:,}",
        f"{median(t.seconds for t in some):.1f}",
        f"{median(t.cpu_seconds for t in some):.1f}",
        f"{line.fixed:.1f}",
        f"{line.rows_per_second:,.0f}",
        f"{line.cpu_per_row * 1e6:,.0f}",
        f"{min(t.load for t in some):.1f} to {max(t.load for t in some):.1f}",
    )


def _details(trials: Mapping[tuple[str, int], Sequence[Trial]]) -> dict[str, Any]:
    return {
        f"{side}, {rows} rows": [asdict(t) for t in some] for (side, rows), some in trials.items()
    }
