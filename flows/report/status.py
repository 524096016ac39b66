"""The answer of `braid status`: the state of every partition, what a run would do, and why.

Names, manifests and what was measured tell all of it; no row is read and nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.table import Table

from flows.console.wording import counted
from flows.records.plan import plan_run
from flows.records.record import read_records
from flows.records.run_identity import is_going_on
from flows.report.partition_states import PartitionStatus, states_of
from flows.report.plan_words import sentence
from flows.report.tables import terminal_table
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.source.scan import scan
from transforms.source.windows import windows_partition


@dataclass(frozen=True)
class PipelineStatus:
    """The state of a pipeline.

    Attributes:
        partitions: In the order of the source; what is gone from it comes last.
        lines: What is there beside the partitions, and what a run would do and why.
    """

    partitions: tuple[PartitionStatus, ...]
    lines: tuple[str, ...]


def status_of(pipeline: PipelineSpec, workspace: Workspace) -> PipelineStatus:
    """Compares the source with what is committed.

    Raises:
        BraidError: The source cannot be listed, or `training.partitions` chooses nothing of it.
    """
    partitions = scan(pipeline.source).partitions
    lines = []
    if pipeline.source.windows is not None:
        partitions = (windows_partition(pipeline, partitions),)
        lines.append(_windows(workspace, partitions[0]))
    records = [record for _, record in read_records(workspace, pipeline.name)]
    plan = plan_run(pipeline, partitions, workspace)
    states = states_of(plan, workspace, records)
    lines += [
        f"Run {record.run_id} is under way."
        for record in records
        if record.status == "running" and is_going_on(workspace, record)
    ]
    lines.append(sentence(plan, states))
    return PipelineStatus(states, tuple(lines))


def status_table(status: PipelineStatus, *, every: bool = False) -> Table:
    """Returns the partitions with their states.

    Args:
        status: What to show.
        every: Whether neighbours that share their state have a line each.
    """
    rows = []
    for state, neighbours in groupby(status.partitions, key=lambda part: part.state):
        group = list(neighbours)
        for shown in [[part] for part in group] if every else [group]:
            names = [part.name for part in shown]
            span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)})"
            counts = _sum([part.rows for part in shown]), _sum([part.rejected for part in shown])
            rows.append((span, state, *counts))
    head = ("partition", "state", "rows", "rejected")
    return terminal_table(head, rows, figures=head[2:], state="state")


def _sum(counts: Sequence[int | None]) -> str:
    known = [count for count in counts if count is not None]
    return f"{sum(known):,}" if known else "-"


def _windows(workspace: Workspace, partition: Partition) -> str:
    # Here, as what cuts windows takes longer to load than all else of the command.
    from flows.steps.windows import windows_text
    from transforms.reading.cutting import committed_windows

    cut = committed_windows(workspace, partition)
    if cut is None:
        return f"Windows are yet to be cut from {counted(len(partition.files), 'file')}."
    return f"{windows_text(cut[1])}."
