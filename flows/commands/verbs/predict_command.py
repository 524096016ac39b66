"""The command `braid predict`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.exit_codes import PARTITIONS_FAILED
from flows.commands.options import ALIAS, INPUT, VERSION, Project, on_project
from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted

_FOLLOW_SECONDS = 60.0


@click.command()
@on_project
@INPUT
@click.option(
    "--output",
    required=True,
    metavar="PLACE",
    help="Where the predictions go: a .parquet or .csv file, or a folder, whose name ends in / or "
    "is a URL, for a part a unit of work.",
)
@ALIAS
@VERSION
@click.option(
    "--keep-invalid", is_flag=True, help="Score rows too that training would reject; they say so."
)
@click.option(
    "--follow",
    type=click.FloatRange(min=0.1),
    is_flag=False,
    flag_value=_FOLLOW_SECONDS,
    metavar="[SECONDS]",
    help="Into a folder: look for new partitions again and again, by default every minute.",
)
def predict(
    project: Project,
    source: str,
    output: str,
    alias: str,
    version: str | None,
    keep_invalid: bool,
    follow: float | None,
) -> None:
    """Score raw rows with the registered champion; what training would reject gets an error.

    Into a folder, partitions are scored one by one, and by the declared Beam runner. The same
    command again scores what is not done: partitions that are new, whose files have changed, or
    that another version has scored.
    """
    if _is_folder(output):
        _predict_folder(project, source, output, alias, version, keep_invalid, follow)
        return
    if follow is not None:
        _refuse_follow(output)
    from flows.console.progress import Reporter, console
    from flows.prediction.predict import predict as score

    scored, model = score(
        project.pipeline,
        project.workspace,
        source=source,
        output=Path(output),
        alias=alias,
        version=version,
        reporter=Reporter(console()),
        keep_invalid=keep_invalid,
    )
    say(f"{counted(scored.rows, 'row')} in {output}, by {model}")
    give({"output": output, "model": model, "predictions": scored})
    for line in scored.failures():
        say(line, err=True)


def _is_folder(output: str) -> bool:
    return output.endswith("/") or "://" in output or Path(output).is_dir()


def _refuse_follow(output: str) -> None:
    from transforms.contract.errors import DeclarationError

    raise DeclarationError(
        "--follow",
        expected="an --output that is a folder, where every partition has parts of its own",
        received=f"the file {output}",
        action="Give a folder, whose name ends in /.",
    )


def _predict_folder(
    project: Project,
    source: str,
    output: str,
    alias: str,
    version: str | None,
    keep_invalid: bool,
    seconds: float | None,
) -> None:
    """Scores into a folder, once or again and again, and tells what became of it."""
    from flows.console.progress import Reporter, console
    from flows.prediction.folder_scoring import FolderRequest, Teller, follow, score_folder
    from flows.prediction.prediction_file import table_place

    request = FolderRequest(
        project.pipeline,
        project.workspace,
        project.declaration,
        source=table_place(source),
        output=table_place(output),
        alias=alias,
        version=version,
        keep_invalid=keep_invalid,
    )
    teller = Teller(Reporter(console()))
    if seconds is not None:
        say(f"Looking for new partitions every {seconds:g} s, until Ctrl-C or SIGTERM.")
        follow(request, teller, seconds)
    done = score_folder(request, teller)
    scored, failed = done.total(), done.failed()
    parts = counted(len(done.partitions) - failed, "partition")
    before = f"; {counted(done.before, 'was', 'were')} done before" if done.before else ""
    say(f"{counted(scored.rows, 'row')} of {parts} in {output}, by {done.model}{before}")
    give(
        {
            "output": output,
            "model": done.model,
            "predictions": scored,
            "partitions": done.partitions,
            "before": done.before,
        }
    )
    for line in scored.failures():
        say(line, err=True)
    if failed:
        say(f"{counted(failed, 'partition')} cannot be scored: see above.", err=True)
    click.get_current_context().exit(PARTITIONS_FAILED if failed else 0)
