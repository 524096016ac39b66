"""The command `braid serve`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import (
    ALIAS,
    HOST,
    VERSION,
    Project,
    listening_port,
    log_folder,
    on_project,
)
from flows.console.harmless import say
from flows.console.output import give

_MEGABYTE = 1 << 20
_HELD_BODIES = 8


@click.command()
@on_project
@ALIAS
@VERSION
@HOST
@listening_port(8080, least=0)
@click.option(
    "--poll",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    help="Seconds between looks at the alias.",
)
@click.option(
    "--max-megabytes",
    type=click.FloatRange(0.01),
    default=16.0,
    show_default=True,
    help="Of a request's body.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    help="Of a request; four times as many may wait for the model.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(0.1),
    default=30.0,
    show_default=True,
    help="From a request to its answer.",
)
@log_folder("A folder for served rows and their answers, by day, which `braid monitor` looks at.")
@click.option(
    "--log-share",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Of the rows that are kept there.",
)
def serve(
    project: Project,
    alias: str,
    version: str | None,
    host: str,
    port: int,
    poll: float,
    max_megabytes: float,
    max_rows: int,
    max_seconds: float,
    log: Path | None,
    log_share: float,
) -> None:
    """Answer over HTTP with the registered champion, and follow the alias when it moves.

    TensorFlow Serving's REST API under /v1, the Open Inference Protocol under /v2, a form for
    people at /, and /healthz, /readyz, /metrics. Ctrl-C and SIGTERM let what has begun end.
    """
    from flows.serving.follower import ChosenVersion
    from flows.serving.limits import Limits
    from flows.serving.request_log import KeptRows
    from flows.serving.server import serve as run

    pipeline, folders = project.pipeline, project.workspace
    body_bytes = int(max_megabytes * _MEGABYTE)
    limits = Limits(
        body_bytes=body_bytes,
        held_bytes=_HELD_BODIES * body_bytes,
        rows=max_rows,
        queued_rows=4 * max_rows,
        seconds=max_seconds,
    )
    run(
        pipeline,
        folders,
        host=host,
        port=port,
        chosen=ChosenVersion(alias, version, poll_seconds=poll),
        limits=limits,
        log=None if log is None else KeptRows(log, log_share),
        on_ready=_tell,
    )


def _tell(model: str, address: str) -> None:
    say(f"{model} answers at {address}")
    give({"model": model, "address": address})
