"""`braid validate`: a declaration held against its table, schemas first and then some values."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from flows.commands.exit_codes import WOULD_FAIL
from flows.console.harmless import say
from flows.console.output import OUTPUT, give
from flows.console.progress import console
from flows.console.wording import counted
from flows.report.tables import terminal_table
from transforms.contract.declaration.parsing import load
from transforms.proposal.examination import ColumnExamination, Examination, examine
from transforms.source.partitions import choose
from transforms.source.scan import check_schema, scan


def validate(declaration: Path, overrides: tuple[str, ...]) -> int:
    """Says what is wrong with a declaration, or what it makes of a sample of its table.

    Returns:
        1 if more rows would be rejected than a run may lose, else 0.

    Raises:
        BraidError: The source cannot be read, or does not fit the declaration.
        DeclarationError: The declaration is wrong.
    """
    pipeline = load(declaration, overrides)
    pipeline.check_user_functions()
    scanned = scan(pipeline.source)
    choose(scanned.partitions, pipeline.training)
    check_schema(pipeline, scanned.files())
    files, partitions = len(scanned.files()), len(scanned.partitions)
    fit = "fits it" if files == 1 else "fit it"
    say(
        f"{declaration} is valid: {counted(len(pipeline.features), 'feature')}, "
        f"{counted(len(pipeline.targets), 'target')}; {counted(files, 'file')} in "
        f"{counted(partitions, 'partition')} {fit}."
    )
    examination = examine(pipeline, scanned)
    give(
        {
            "declaration": declaration,
            "features": len(pipeline.features),
            "targets": len(pipeline.targets),
            "files": files,
            "partitions": partitions,
            "values": examination,
        }
    )
    if examination is None:
        say("The first rows make no whole window, so that no value was looked at.")
        return 0
    _show(examination)
    return WOULD_FAIL if examination.exceeds_budget else 0


def _show(examination: Examination) -> None:
    whole = "all" if examination.is_whole else "a sample of"
    if not OUTPUT.quiet:
        say(f"The values of {whole} {counted(examination.rows, 'row')}:")
        console().print(_table(examination.columns))
    for column in examination.columns:
        for reason, rows in column.rejected.items():
            say(f"  {column.place}: {_share(rows, column)} rejected as {reason}")
        for reason, rows in column.replaced.items():
            if reason != "missing":
                say(f"  {column.place}: {_share(rows, column)} count as missing, as {reason}")
        for advice in column.advice:
            say(f"  {column.place}: {advice}")
    for reason, rows in examination.others.items():
        say(f"  {reason}: {counted(rows, 'row')} rejected")
    say(
        f"{examination.rejected:.1%} of the rows would be rejected; transform.max_reject_fraction "
        f"allows {examination.allowed:.1%}{_verdict(examination)}."
    )


def _verdict(examination: Examination) -> str:
    if examination.exceeds_budget:
        return ", so that a run fails"
    return ", so that a run may fail" if examination.rejected > examination.allowed else ""


def _table(columns: tuple[ColumnExamination, ...]) -> Table:
    head = ("column", "kind", "missing", "distinct", "rejected")
    rows = []
    for column in columns:
        role, _, name = column.place.partition(".")
        rows.append(
            (
                name,
                f"{column.kind}, target" if role == "targets" else column.kind,
                f"{column.missing_share():.1%}",
                "-" if column.distinct is None else f"{column.distinct:,}",
                f"{column.rejected_share():.1%}",
            )
        )
    return terminal_table(head, rows, figures=head[2:], head_style="dim")


def _share(rows: int, column: ColumnExamination) -> str:
    return f"{counted(rows, 'value')} of {column.rows:,} ({rows / column.rows:.1%})"
