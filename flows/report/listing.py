"""The tables of `braid runs` and `braid models`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from flows.console import harmless
from flows.console.output import give
from flows.records.backfill_record import BackfillRecord, read_backfills
from flows.records.record import RunRecord, pipelines, read_records
from flows.records.run_identity import is_going_on
from flows.report.backfill_report import backfills_table
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.layout import Workspace

if TYPE_CHECKING:
    from trainer.registry.registry import ModelRegistry

_STYLES = {
    "promoted": "green",
    "refused": "yellow",
    "failed": "red",
    "stopped": "yellow",
    "killed": "red",
    "running": "cyan",
}


def show_runs(console: Console, workspace: Workspace, pipeline: str | None) -> None:
    """Prints what ran and what was backfilled: of one pipeline, or of a whole workspace."""
    records: list[RunRecord] = []
    backfills: list[BackfillRecord] = []
    for name in pipelines(workspace) if pipeline is None else [pipeline]:
        records += [record for _, record in read_records(workspace, name)]
        backfills += [record for _, record in read_backfills(workspace, name)]
    give({"runs": records, "backfills": backfills})
    if records:
        console.print(runs_table(workspace, records))
    if backfills:
        console.print(backfills_table(workspace, backfills))
    if not records and not backfills:
        console.print(f"No runs in {harmless.console(str(workspace.root))} yet.", highlight=False)


def runs_table(workspace: Workspace, records: Sequence[RunRecord]) -> Table:
    """Returns what ran and how it ended, the newest last."""
    table = Table(box=None)
    for name in ("run", "pipeline", "status", "rows", "rejected", "seconds", "model", "outcome"):
        numeric = name in ("rows", "rejected", "seconds")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for record in records:
        status = run_status(workspace, record)
        model = "-" if record.model is None else f"{record.model.name} {record.model.version}"
        table.add_row(
            harmless.console(record.run_id),
            harmless.console(record.pipeline),
            f"[{_STYLES[status]}]{status}[/]",
            f"{record.source_rows:,}",
            f"{record.rejected():,}",
            f"{record.seconds():.0f}",
            harmless.console(model),
            harmless.console(_outcome(record)),
        )
    return table


def models_table(pipeline: PipelineSpec, registry: ModelRegistry) -> Table | None:
    """Returns the registered versions of a pipeline's model, the newest first, if there are any.

    The gates' metrics come first, then all others on the test rows.
    """
    versions = registry.versions(pipeline.registered_name())
    if not versions:
        return None
    give(versions)
    wanted = [str(gate.metric) for gate in pipeline.gates()]
    wanted += [name for name in pipeline.metric_names() if name.startswith("test_")]
    table = Table(box=None)
    table.add_column("version", justify="right")
    for name in ("aliases", "registered (UTC)", "run", "metrics"):
        table.add_column(name, overflow="fold")
    for item in versions:
        created = datetime.fromtimestamp(item.created_ms / 1000, UTC)
        metrics = [
            f"{name} {item.metrics[name]:.4g}"
            for name in dict.fromkeys(wanted)
            if name in item.metrics
        ]
        table.add_row(
            item.version,
            harmless.console(", ".join(item.aliases)),
            f"{created:%Y-%m-%d %H:%M}",
            harmless.console(item.run_id),
            harmless.console(", ".join(metrics)),
        )
    return table


def run_status(workspace: Workspace, record: RunRecord) -> str:
    """Returns a run's status, telling one that goes on from one that was killed."""
    if record.status == "running" and not is_going_on(workspace, record):
        return "killed"
    return record.status


def _outcome(record: RunRecord) -> str:
    if record.error is not None and record.status == "stopped":
        return f"by {record.error['received']}"
    if record.error is not None:
        place = record.error.get("place", record.error["type"])
        return f"{place}: {record.error['received']}".splitlines()[0]
    if record.gate is not None and record.gate.reasons:
        return record.gate.reasons[0]
    return ""
