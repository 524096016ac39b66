"""Hands the trainer's steps over to the `gpu` pool of a Prefect server and waits for them.

Where the store is a bucket, the step's machine shares no folder with this one: jobs, progress and
outcomes lie among the run's copies there, and what a step leaves is taken from them.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling
from pydantic import BaseModel

from flows.console.progress import Reporter
from flows.process.attempt import (
    Attempt,
    Outcome,
    attempts,
    new_attempt,
    remove_leftovers_of_the_dead,
)
from flows.process.child import Done, StepDied, StepStopped, refuse_stopped
from flows.process.inputs import send_inputs
from flows.process.run_copies import RunCopies
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress, Returned
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.step import Step
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.files import Place

_R = TypeVar("_R", bound=BaseModel)

TRAINING_FLOW = "braid-train"
GPU_POOL = "gpu"
MOST_ATTEMPTS = 3  # that die, before the run fails
_POLL_SECONDS = 2.0
_PATIENCE_SECONDS = 60.0  # without a worker, until a person is told
# The client of a network file system may remember for so long that a file was not there.
_OUTCOME_SECONDS = 60.0


@dataclass(frozen=True)
class GpuPool:
    """Runs steps as flow runs of the pipeline's training deployment.

    Every attempt has a key of its own. This process may die and its successor wait for the same
    attempt, which the folder tells it of; an attempt that dies is followed by another.

    Attributes:
        pipeline: The pipeline's name, which is the deployment's too.
        run_folder: The folder of the run.
        title: What the run works on, for the names of flow runs.
        search_path: Where the user's own functions are imported from.
        reporter: Who is told about attempts.
        copies: Those of the run's files in a bucket; None where the machines share the workspace.
    """

    pipeline: str
    run_folder: Path
    title: str
    search_path: Path | None
    reporter: Reporter
    copies: RunCopies | None = None

    def __call__(
        self,
        step: Step[TrainJob, _R],
        job: TrainJob,
        on_progress: Callable[[Progress], None],
        stopping: threading.Event,
    ) -> Done[_R]:
        """Runs a step to its end and returns its result.

        Args:
            step: The step.
            job: Its job.
            on_progress: Called whenever it is further.
            stopping: Set by another thread, it ends the step.

        Raises:
            BraidError: The step failed, was cancelled, or is not deployed.
            StepDied: Attempt after attempt died.
            StepStopped: `stopping` was set.
        """
        for number, attempt in enumerate(self._attempts(step.name, job), start=1):
            try:
                with self._taking_copies():
                    returned = self._run(step.name, attempt, on_progress, stopping)
                result = step.result.model_validate_json(returned.result)
                return Done(result, returned.peak_bytes)
            except StepDied as error:
                if number == MOST_ATTEMPTS:
                    raise
                self.reporter.note(
                    f"  {step.name}: attempt {number} of {MOST_ATTEMPTS} died: {error.received}"
                )
                if self.copies is None:  # else what died wrote on another machine
                    remove_leftovers_of_the_dead(self.run_folder)
        raise ValueError("there is an attempt for every number")

    def _attempts(self, step: str, job: TrainJob) -> Iterator[Attempt]:
        place: Place = self.run_folder if self.copies is None else self.copies.place
        for attempt in list(attempts(place, step)):
            if attempt.is_for(job):
                self.reporter.note(f"  {step}: goes on with the attempt of the run's earlier flow")
                yield attempt
            else:
                attempt.give_up()
        while True:
            if self.copies is not None:
                self.copies.pull()
                self.copies.push()
            yield new_attempt(place, step, job, partial(self._send_inputs, job))

    def _send_inputs(self, job: TrainJob, folder: Place) -> None:
        if isinstance(folder, BucketPath):
            send_inputs(job, self.search_path, folder)

    @contextmanager
    def _taking_copies(self) -> Iterator[None]:
        """Takes at the end of the block what the step's machine has pushed, its log at least."""
        try:
            yield
        except StepStopped:
            raise
        except BraidError:
            with contextlib.suppress(BraidError):  # what failed is what is to be told
                self._take_copies()
            raise
        self._take_copies()

    def _take_copies(self) -> None:
        if self.copies is not None:
            self.copies.pull()

    def _run(
        self,
        step: str,
        attempt: Attempt,
        on_progress: Callable[[Progress], None],
        stopping: threading.Event,
    ) -> Returned:
        def look(progress: Progress | None) -> None:
            refuse_stopped(stopping, step)
            if progress is not None:
                on_progress(progress)

        with get_client(sync_client=True) as client:
            flow_run = self._start(step, attempt)
            try:
                state = self._wait(client, step, attempt, flow_run.id, look)
                return _result(step, state, _outcome(attempt, state))
            except BaseException as error:
                # A stop, Ctrl-C, a cancelled run, a server that is gone
                if isinstance(error, StepStopped) or not isinstance(error, BraidError):
                    with contextlib.suppress(Exception):
                        client.set_flow_run_state(flow_run.id, Cancelling())
                raise
            finally:
                attempt.give_up()

    def _start(self, step: str, attempt: Attempt) -> FlowRun:
        name, folder = f"{TRAINING_FLOW}/{self.pipeline}", attempt.folder
        modules = None if self.search_path is None else str(self.search_path)
        if isinstance(folder, BucketPath):  # the modules have come there, too
            places = {"attempt": folder.key, "store": folder.bucket.uri}
        else:
            places = {"attempt": str(folder)} | ({"search_path": modules} if modules else {})
        try:
            made = run_deployment(
                name,
                parameters={"step": step, **places},
                flow_run_name=f"{step}: {self.title}",
                idempotency_key=f"{self.run_folder.name} {attempt.folder.name}",
                timeout=0,
                as_subflow=True,
            )
            return cast("FlowRun", made)  # a coroutine only where an event loop runs
        except ObjectNotFound:
            attempt.give_up()
            raise BraidError(
                "training.dispatch",
                expected=f"the deployment '{name}' on the server",
                received="none of that name",
                action="Run `braid deploy` with this declaration, or train with "
                "--set training.dispatch=local.",
            ) from None

    def _wait(
        self,
        client: SyncPrefectClient,
        step: str,
        attempt: Attempt,
        flow_run: UUID,
        look: Callable[[Progress | None], None],
    ) -> State[Any]:
        started, told = time.monotonic(), False
        while True:
            state = client.read_flow_run(flow_run).state
            if state is not None and state.is_final():
                return state
            look(attempt.progress())
            waited = time.monotonic() - started > _PATIENCE_SECONDS
            if waited and not told and state is not None and state.is_scheduled():
                told = True
                self.reporter.note(f"  {step}: waits for a worker of the pool '{GPU_POOL}'")
            time.sleep(_POLL_SECONDS)


def _outcome(attempt: Attempt, state: State[Any]) -> Outcome | None:
    until = time.monotonic() + _OUTCOME_SECONDS
    while (outcome := attempt.outcome()) is None and state.is_completed():
        if time.monotonic() > until:
            break
        time.sleep(_POLL_SECONDS)
    return outcome


def _result(step: str, state: State[Any], outcome: Outcome | None) -> Returned:
    if outcome is not None and outcome.returned is not None:
        return outcome.returned
    if outcome is not None and outcome.error is not None:
        error = outcome.error
        if outcome.died:
            raise _died(step, error.received, error.action)
        raise error.error()
    told = (state.message or "").rstrip(".")
    if state.is_crashed():
        raise _died(
            step,
            f"a crash of its flow run: {told or 'it was lost'}",
            "Look after the workers of the pool; the same command again resumes.",
        )
    raise BraidError(
        step,
        expected=f"the flow run on the pool '{GPU_POOL}' to end with a result",
        received=f"the state {state.name}" + (f": {told}" if told else ""),
        action="Its logs on the server say more. The same command again resumes.",
    )


def _died(step: str, received: str, action: str) -> StepDied:
    return StepDied(
        step, expected="the step to end with a result", received=received, action=action
    )
