"""From the commands to their flows: quick checks first, Prefect only if there is work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from flows.console.harmless import say
from flows.orchestration.handover import Opened, handing_over
from flows.orchestration.prefect_settings import ask_server, configure, temporary_server
from flows.records.backfill_record import BackfillRecord, Training, read_backfill
from flows.records.plan import plan_run
from flows.records.record import RunRecord, read_record
from flows.retention.store_needs import join_store
from flows.steps.backfill import partitions_between, partitions_of_source
from flows.steps.registration import reach_registry, refuse_lost_version
from flows.steps.shard_steps import scan_source
from transforms.contract.declaration.parsing import hide_secrets
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.process.own_packages import full_name
from transforms.contract.process.startup import without_garbage_collection
from transforms.contract.workspace.layout import Workspace


def launch(
    console: Console,
    declaration: Path,
    pipeline: PipelineSpec,
    workspace: Workspace,
    overrides: tuple[str, ...],
    *,
    retrain: bool,
) -> tuple[Path, RunRecord]:
    """Runs the flow, unless nothing is new, and returns the run's folder with its record.

    What Prefect's start would only delay is checked before: the source, its schema, the registry,
    and whether a finished run has done all this.
    """
    _check_dispatch(pipeline)
    partitions = scan_source(pipeline)
    join_store(workspace)
    reach_registry(pipeline, workspace, may_begin=retrain)
    finished = plan_run(pipeline, partitions, workspace, retrain=retrain).finished
    if finished is not None:
        refuse_lost_version(pipeline, workspace, finished[1])
        console.print(
            f"Nothing is new since run {finished[1].run_id}: same declaration, same rows. "
            "--retrain trains a new model all the same.",
            highlight=False,
        )
        return finished
    opened = Opened(pipeline, partitions)
    with _started(console, workspace, pipeline.name, "run_flow") as run_flow:
        flow = run_flow.refresh_model
        folder = _carry_out(flow, opened, declaration, workspace, overrides, retrain=retrain)
    record = read_record(folder)
    if record is None:
        raise _lost(folder)
    return folder, record


def launch_backfill(
    console: Console,
    declaration: Path,
    pipeline: PipelineSpec,
    workspace: Workspace,
    overrides: tuple[str, ...],
    *,
    first: str | None,
    last: str | None,
    workers: int | None,
    train: Training,
) -> tuple[Path, BackfillRecord]:
    """Runs the flow of a backfill, and returns its folder with its record.

    Raises:
        BraidError: The range is wrong, the pipeline runs already, or the training failed. Failed
            partitions are told by the record.
    """
    if train != "none":
        _check_dispatch(pipeline)
        reach_registry(pipeline, workspace)
    join_store(workspace)
    everything = partitions_of_source(pipeline)
    partitions_between(everything, first, last)
    with _started(console, workspace, pipeline.name, "backfill_flow") as backfill_flow:
        try:
            folder = _carry_out(
                backfill_flow.backfill_partitions,
                Opened(pipeline, everything),
                declaration,
                workspace,
                overrides,
                first=first,
                last=last,
                workers=workers,
                train=train,
            )
        except backfill_flow.PartitionsFailed as failed:
            folder = failed.folder
    record = read_backfill(folder)
    if record is None:
        raise _lost(folder)
    return folder, record


def launch_deployment(
    declaration: Path,
    pipeline: PipelineSpec,
    workspace: Workspace,
    overrides: tuple[str, ...],
) -> list[str]:
    """Puts the pipeline on the user's server and returns what is there then, a line for each.

    Raises:
        BraidError: There is no server, or it does not answer or refuses something.
    """
    require_server("braid deploy")
    if hide_secrets(overrides) != overrides:
        raise DeclarationError(
            "--set",
            expected="no password or other secret, as the server would keep and show it",
            received="one",
            action="Write ${NAME} for it, and set that variable where the workers run.",
        )
    ask_server()
    configure()
    from flows.orchestration.deployments import deploy

    with _server_in_words("The same command brings up to date what is there by then."):
        return deploy(declaration, pipeline, workspace, overrides)


def tell_drift(pipeline: str, day: str, model: str, differs: str) -> None:
    """Tells the user's server that a day of served rows has drifted; without a server nobody.

    Args:
        pipeline: The pipeline's name.
        day: The name of the day's folder.
        model: What it was held against.
        differs: What differs, in words.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return
    try:
        ask_server()
    except BraidError as error:
        say(f"Not told to {error.place}: {error.received}.", err=True)
        return
    configure()
    from flows.orchestration.telling.events import emit

    problem = ErrorReport(
        type="drift",
        place=day,
        expected=f"rows and answers as those that {model} was made of",
        received=f"a difference in {differs}",
        action="Look for what changed where the rows come from; a run on newer rows learns it.",
    )
    emit("braid.day.drifted", pipeline, problem)


def require_server(place: str) -> None:
    """Refuses what only a Prefect server of the user's can do.

    Raises:
        DeclarationError: `PREFECT_API_URL` names none.
    """
    if not os.environ.get("PREFECT_API_URL"):
        raise DeclarationError(
            place,
            expected="the address of a Prefect server in PREFECT_API_URL",
            received="none",
            action="Start one with `prefect server start`, and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api or where it is.",
        )


def _check_dispatch(pipeline: PipelineSpec) -> None:
    if pipeline.training.dispatch == "deployment":
        require_server("training.dispatch: deployment")


@contextmanager
def _started(console: Console, workspace: Workspace, pipeline: str, module: str) -> Iterator[Any]:
    """Gives a module of flows, with a server of its own if the user has none."""
    configure()
    workspace.root.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with console.status("starting Prefect"), without_garbage_collection():
            stack.enter_context(temporary_server(workspace, pipeline))
            flows = import_module(full_name(f"flows.orchestration.{module}"))
        yield flows


def _carry_out(
    flow: Callable[..., str],
    opened: Opened,
    declaration: Path,
    workspace: Workspace,
    overrides: tuple[str, ...],
    **parameters: Any,
) -> Path:
    """Calls a flow of the declaration and returns the folder that it names.

    Raises:
        BraidError: The flow's own, or Prefect's server was lost or refuses the flow.
    """
    with _server_in_words("The same command resumes."), handing_over(opened):
        folder = flow(
            declaration=str(declaration.absolute()),
            workspace=str(workspace.root),
            overrides=hide_secrets(overrides),
            **parameters,
        )
    return Path(folder)


@contextmanager
def _server_in_words(then: str) -> Iterator[None]:
    """Turns what Prefect's client raises into one sentence.

    Args:
        then: What the user does after looking after the server.

    Raises:
        BraidError: The server was lost, or refuses something.
    """
    try:
        yield
    except Exception as error:
        # By its name: Prefect passes on what its client raises.
        if not type(error).__module__.startswith(("httpx", "httpcore", "prefect.exceptions")):
            raise
        raise BraidError(
            f"Prefect's server, {os.environ.get('PREFECT_API_URL', 'that of this run')}",
            expected="an answer",
            received=(str(error).splitlines() or [type(error).__name__])[0],
            action=f"Look after the server. {then}",
        ) from error


def _lost(folder: Path) -> BraidError:
    return BraidError(
        str(folder),
        expected="the record of the run that just ended",
        received="none",
        action="Run again; if it stays away, the workspace's storage loses files.",
    )
