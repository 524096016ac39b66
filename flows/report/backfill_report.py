"""A backfill's summary, on a terminal and as Markdown, and the table of all backfills."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from flows.console import harmless
from flows.console.wording import counted
from flows.records.backfill_record import BackfillRecord, PartitionRecord
from flows.records.run_identity import shown_status
from flows.report.tables import markdown_table, terminal_table
from transforms.contract.error_report import ErrorReport
from transforms.contract.workspace.layout import Workspace

_HEAD = ("partition", "status", "rows", "rejected", "seconds", "note")
_FIGURES = ("rows", "rejected", "seconds")


def show_backfill(console: Console, record: BackfillRecord) -> None:
    """Prints every partition with what became of it, then what failed and what to do."""
    style = "bold red" if record.failed() else "bold green"
    console.print()
    console.print(
        f"[{style}]{record.pipeline}: {counted(len(record.partitions), 'partition')}: "
        f"{record.counts()}[/{style}]",
        highlight=False,
    )
    rows = [_cells(part) for part in record.partitions]
    console.print(terminal_table(_HEAD, rows, figures=_FIGURES, state="status", head_style="dim"))
    for part in record.failed():
        error = part.error or ErrorReport(type="")
        place = harmless.console(error.place)
        console.print(f"\n[bold red]{harmless.console(part.name)}[/bold red] {place}")
        for label, told in (
            ("expected", error.expected),
            ("received", error.received),
            ("to do", error.action),
        ):
            text = harmless.console(told.rstrip(), lines=True)
            console.print(f"  [dim]{label:<9}[/dim] {text}", highlight=False, soft_wrap=True)
    console.print()
    console.print(harmless.console(_training_line(record)), highlight=False)


def markdown(record: BackfillRecord) -> str:
    """Returns a backfill's summary as Markdown."""
    parts = [
        f"# {record.pipeline}: {record.counts()}",
        f"Backfill `{record.backfill_id}`, {record.seconds():.0f} s, "
        f"{counted(record.workers, 'partition')} at once, transform `{record.transform or 'none'}`",
        _training_line(record),
        markdown_table(_HEAD, [_cells(part) for part in record.partitions]),
    ]
    return "\n\n".join(parts) + "\n"


def backfills_table(workspace: Workspace, records: Sequence[BackfillRecord]) -> Table:
    """Returns which backfills there were and how they ended, the newest last."""
    head = ("backfill", "pipeline", "status", "from", "to", "seconds", "partitions", "runs")
    rows = [
        (
            record.backfill_id,
            record.pipeline,
            shown_status(workspace, record),
            record.partitions[0].name,
            record.partitions[-1].name,
            f"{record.seconds():.0f}",
            record.counts(),
            ", ".join(record.runs),
        )
        for record in records
    ]
    return terminal_table(head, rows, figures=("seconds",), state="status")


def _cells(part: PartitionRecord) -> tuple[str, ...]:
    return (
        part.name,
        part.status,
        "-" if part.rows is None else f"{part.rows:,}",
        "-" if part.rejected is None else f"{part.rejected:,}",
        "-" if part.seconds is None else f"{part.seconds:.1f}",
        part.error.place if part.error else part.note,
    )


def _training_line(record: BackfillRecord) -> str:
    if record.failed():
        return (
            "Nothing was trained, as partitions failed. Mend them and run the same command again: "
            "it does only what is missing, then trains."
        )
    if record.train == "none":
        return "Nothing was trained, as --train none says."
    if record.outcome is None:
        return "The training did not end. Running the same command again resumes it."
    if len(record.runs) == 1:
        return f"Run {record.runs[0]} trained on what is committed: {record.outcome}."
    return f"{len(record.runs)} runs trained, the last one is {record.runs[-1]}: {record.outcome}."
