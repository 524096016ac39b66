"""The command `braid rejects`."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import Project, on_project
from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted

if TYPE_CHECKING:
    from flows.report.rejects import RejectedRow

_MOST_SHOWN = 50
_LONGEST_VALUE = 200  # characters


@click.command()
@on_project
@click.option("--reason", "reasons", multiple=True, help="Such as `missing`. May be repeated.")
@click.option("--column", "columns", multiple=True, help="A source column. May be repeated.")
@click.option("--partition", "partitions", multiple=True, help="By its name. May be repeated.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A .csv or .parquet file for all of them; pictures are files in a folder beside it.",
)
def rejects(
    project: Project,
    reasons: tuple[str, ...],
    columns: tuple[str, ...],
    partitions: tuple[str, ...],
    output: Path | None,
) -> None:
    """Show the rows that the newest run could not use: key, column, reason and value.

    What `sensitive` columns had is not shown.
    """
    from flows.prediction.prediction_file import refuse_as_output
    from flows.report import rejects as report

    pipeline, folders = project.pipeline, project.workspace
    selection = report.Selection(reasons, columns, partitions)
    rows = report.rejected_rows(pipeline, folders, selection)
    if output is not None:
        refuse_as_output(output, pipeline.source)
        count, files = report.write_rejected(rows, output)
        pictures = f"{output.stem}{report.PICTURES_SUFFIX}/"
        beside = f", {counted(files, 'value')} as files in {pictures}" if files else ""
        say(f"{counted(count, 'rejected row')} in {output}{beside}")
        give({"output": output, "rows": count, "files": files})
        return
    first = list(islice(rows, _MOST_SHOWN))
    counts = Counter((row.column, row.reason) for row in chain(first, rows))
    give(
        {
            "rows": counts.total(),
            "counts": [
                {"column": column, "reason": reason, "rows": count}
                for (column, reason), count in counts.most_common()
            ],
            "first": [{**row._asdict(), "value": report.shown_value(row.value)} for row in first],
        }
    )
    if not first:
        say("No rejected row is like that.")
        return
    _show(first)
    if counts.total() > len(first):
        say(f"These are the first {len(first)} of {counts.total():,}; --output writes all:")
        for (column, reason), count in counts.most_common():
            say(f"  {count:>9,}  {column}: {reason}")


def _show(rows: list[RejectedRow]) -> None:
    from flows.console.progress import console
    from flows.report.rejects import shown_value
    from flows.report.tables import terminal_table

    cells = []
    for row in rows:
        value = shown_value(row.value)
        value = value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 1]}…"
        cells.append((row.key, row.column, row.reason, value, row.partition))
    head = ("key", "column", "reason", "value", "in")
    console().print(terminal_table(head, cells, figures=()))
