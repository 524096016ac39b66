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
from flows.records.run_identity import shown_status
from flows.report.backfill_report import backfills_table
from flows.report.tables import terminal_table
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.layout import Workspace

if TYPE_CHECKING:
    from trainer.registry.registry import ModelRegistry


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
    head = ("run", "pipeline", "status", "rows", "rejected", "seconds", "model", "outcome")
    rows = [
        (
            record.run_id,
            record.pipeline,
            shown_status(workspace, record),
            f"{record.source_rows:,}",
            f"{record.rejected():,}",
            f"{record.seconds():.0f}",
            "-" if record.model is None else f"{record.model.name} {record.model.version}",
            _outcome(record),
        )
        for record in records
    ]
    figures = ("rows", "rejected", "seconds")
    return terminal_table(head, rows, figures=figures, state="status")


def models_table(pipeline: PipelineSpec, registry: ModelRegistry) -> Table | None:
    """Returns the registered versions of a pipeline's model, the newest first, if there are any.

    The gates' metrics come first, then all others on the test rows.
    """
    versions = registry.versions(pipeline.registered_name())
    give(versions)
    if not versions:
        return None
    wanted = [str(gate.metric) for gate in pipeline.gates()]
    wanted += [name for name in pipeline.metric_names() if name.startswith("test_")]
    head = ("version", "aliases", "registered (UTC)", "run", "metrics")
    rows = [
        (
            item.version,
            ", ".join(item.aliases),
            f"{datetime.fromtimestamp(item.created_ms / 1000, UTC):%Y-%m-%d %H:%M}",
            item.run_id,
            ", ".join(
                f"{name} {item.metrics[name]:.4g}"
                for name in dict.fromkeys(wanted)
                if name in item.metrics
            ),
        )
        for item in versions
    ]
    return terminal_table(head, rows, figures=("version",))


def _outcome(record: RunRecord) -> str:
    if record.error is not None and record.status == "stopped":
        return f"by {record.error.received}"
    if record.error is not None:
        return record.error.headline()
    if record.gate is not None and record.gate.reasons:
        return record.gate.reasons[0]
    return ""
