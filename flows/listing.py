"""The tables of `braid runs` and `braid models`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from flows.record import RunRecord
from flows.run import is_going_on
from transforms.contract.workspace import Workspace

_STYLES = {
    "promoted": "green",
    "refused": "yellow",
    "failed": "red",
    "killed": "red",
    "running": "cyan",
    "abandoned": "dim",
}


def runs_table(workspace: Workspace, records: Sequence[RunRecord]) -> Table:
    """Returns what ran and how it ended, the newest last."""
    table = Table(box=None)
    for name in ("run", "pipeline", "status", "rows", "rejected", "seconds", "model", "outcome"):
        numeric = name in ("rows", "rejected", "seconds")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for record in records:
        status = run_status(workspace, record)
        table.add_row(
            record.run_id,
            record.pipeline,
            f"[{_STYLES[status]}]{status}[/]",
            f"{record.source_rows:,}",
            f"{record.rejected():,}",
            f"{record.seconds():.0f}",
            "-" if record.model is None else f"{record.model.name} {record.model.version}",
            _outcome(record),
        )
    return table


def run_status(workspace: Workspace, record: RunRecord) -> str:
    """Returns a run's status, telling one that goes on from one that was killed."""
    if record.status == "running" and not is_going_on(workspace, record):
        return "killed"
    return record.status


def _outcome(record: RunRecord) -> str:
    if record.error is not None:
        place = record.error.get("place", record.error["type"])
        return f"{place}: {record.error['received']}".splitlines()[0]
    if record.gate is not None and record.gate.reasons:
        return record.gate.reasons[0]
    return ""
