"""The command `braid predict`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import ALIAS, INPUT, VERSION, Project, on_project
from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted


@click.command()
@on_project
@INPUT
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the predictions go: .parquet or .csv.",
)
@ALIAS
@VERSION
@click.option(
    "--keep-invalid", is_flag=True, help="Score rows too that training would reject; they say so."
)
def predict(
    project: Project,
    source: Path,
    output: Path,
    alias: str,
    version: str | None,
    keep_invalid: bool,
) -> None:
    """Score raw rows with the registered champion; what training would reject gets an error."""
    from flows.console.progress import Reporter, console
    from flows.prediction.predict import predict as score

    pipeline, folders = project.pipeline, project.workspace
    scored, model = score(
        pipeline,
        folders,
        source=source,
        output=output,
        alias=alias,
        version=version,
        reporter=Reporter(console()),
        keep_invalid=keep_invalid,
    )
    say(f"{counted(scored.rows, 'row')} in {output}, by {model}")
    give({"output": output, "model": model, "predictions": scored})
    for line in scored.failures():
        say(line, err=True)
