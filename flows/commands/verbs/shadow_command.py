"""The command `braid shadow`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import INPUT, Project, on_project
from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted

if TYPE_CHECKING:
    from flows.prediction.shadow import Difference, Shadowed


@click.command()
@on_project
@click.argument("version", type=click.IntRange(1))
@INPUT
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A .parquet file for the answers of both, row by row.",
)
def shadow(project: Project, version: int, source: str, output: Path | None) -> None:
    """Score rows with a version beside the champion, and tell how their answers differ.

    No alias moves.
    """
    from flows.console.progress import Reporter, console
    from flows.prediction.shadow import refuse_shadow_output
    from flows.prediction.shadow import shadow as score_both
    from flows.steps.registration import find_version, reach_registry
    from trainer.registry.champions import CHAMPION

    pipeline, folders = project.pipeline, project.workspace
    if output is not None:
        refuse_shadow_output(output, source, pipeline)
    registry = reach_registry(pipeline, folders)
    name = pipeline.registered_name()
    champion = find_version(registry, name, alias=CHAMPION, version=None)
    other = find_version(registry, name, alias=CHAMPION, version=str(version))
    if other.version == champion.version:
        say(f"{name} version {version} is the champion itself.")
        give({"model": name, "champion": champion.version, "version": other.version})
        return
    compared = score_both(
        pipeline,
        registry,
        champion,
        other,
        source=source,
        output=output,
        reporter=Reporter(console()),
    )
    _show(name, compared)
    if output is not None:
        say(f"{output}")
    give(
        {
            "model": name,
            "champion": compared.champion,
            "version": compared.version,
            "rows": compared.rows,
            "differences": {item.name: _as_result(item) for item in compared.differences},
            "unlike": compared.unlike,
            "only": compared.only,
            "missing": compared.missing,
            "output": output,
        }
    )


def _as_result(item: Difference) -> dict[str, object]:
    """Returns what a program reads of a difference: what the table has, and the changes."""
    return {
        "rows": item.rows,
        "same": item.same,
        "mean": item.mean,
        "largest": item.largest if item.entries else None,
        "at": item.at,
        "crossed": item.crossed,
        "changes": [
            {"champion": before, "version": after, "rows": rows}
            for (before, after), rows in item.commonest()
        ],
    }


def _show(name: str, compared: Shadowed) -> None:
    from flows.console.progress import console
    from flows.report.tables import terminal_table

    say(
        f"{name} version {compared.version} beside version {compared.champion}, the champion: "
        f"{counted(compared.rows, 'row')}"
    )
    rows = []
    for item in compared.differences:
        numbers = (f"{item.mean:.4g}", f"{item.largest:.4g}") if item.entries else ("", "")
        same = f"{item.same / item.rows:.1%}" if item.rows else ""
        rows.append((item.name, f"{item.rows:,}", same, *numbers, item.at or ""))
    head = ("answer", "rows", "the same", "mean difference", "largest", "in row")
    console().print(terminal_table(head, rows, figures=head[1:5]))
    for item in compared.differences:
        for line in _sentences(item):
            say(line)
    for which, count in compared.only.items():
        if count:
            say(f"{counted(count, 'row has', 'rows have')} an answer of the {which} only.")
    for column in compared.missing:
        say(f"Only one of them answers '{column}'.")
    for column in compared.unlike:
        say(f"'{column}' is of another kind in each, so that its answers are not compared.")


def _sentences(item: Difference) -> list[str]:
    lines = []
    if item.crossed:
        share = item.crossed / item.rows
        rows = counted(item.crossed, "row")
        lines.append(f"{item.name}: the answers of {rows} ({share:.1%}) change sides of 0.5.")
    for (before, after), count in item.commonest():
        lines.append(f"{item.name}: {before} becomes {after} in {counted(count, 'row')}.")
    return lines
