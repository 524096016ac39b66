"""A step beside others: the training beside the transform, the check beside the evaluation.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.process.child import StepStopped
from flows.records.run_identity import pending_partitions
from flows.sessions.session import Session, Stopwatch


def ending_others(step: Callable[[Session], None]) -> Callable[[Session], None]:
    """Returns a step whose failure ends the one that is under way beside it."""

    @wraps(step)
    def ending(session: Session) -> None:
        try:
            step(session)
        except BaseException:
            session.stopping.set()
            raise

    return ending


def trains_early(session: Session) -> bool:
    """Returns whether the training is to begin now: declared so, and there is yet to transform."""
    if session.pipeline.training.start != "streaming":
        return False
    return bool(pending_partitions(session.workspace, session.transform, session.partitions))


class StepBeside:
    """A step that may run beside those of a block.

    Args:
        session: The run.
        name: The step.
        task: Its Prefect task; its function is one of `ending_others`.
        runner: Runs it, in a thread of its own.
    """

    def __init__(
        self, session: Session, name: str, task: Any, runner: ThreadPoolTaskRunner[None]
    ) -> None:
        self._session = session
        self._name = name
        self._task = task
        self._runner = runner
        self._future: PrefectFuture[None] | None = None
        self._watch = Stopwatch()
        self._earlier = session.record.step(name)

    @property
    def has_begun(self) -> bool:
        """Whether `begin` was called."""
        return self._future is not None

    def begin(self) -> None:
        """Begins the step."""
        self._watch = Stopwatch()
        self._future = self._runner.submit(self._task, {"session": self._session})

    def end(self) -> None:
        """Waits for its end, if it has begun.

        Raises:
            BraidError: It failed.
        """
        if self._future is None:
            return
        session, beside = self._session, self._watch.seconds()
        self._future.result()
        with session.recording:
            step = session.record.step(self._name)
            if step is not None and step is not self._earlier and step.seconds is not None:
                both = round(min(beside, step.seconds), 3)
                session.record.put_step(step.model_copy(update={"beside": both}))
                session.save()


@contextmanager
def step_beside(session: Session, name: str, task: Any) -> Iterator[StepBeside]:
    """Waits at the end of the block for a step, if that began in it.

    If one of them fails, the other is ended.

    Args:
        session: The run.
        name: The step.
        task: Its Prefect task; its function is one of `ending_others`.

    Raises:
        BraidError: What failed first.
    """
    runner: ThreadPoolTaskRunner[None] = ThreadPoolTaskRunner(max_workers=1)
    with runner:  # leaving it waits for its thread
        beside = StepBeside(session, name, task, runner)
        try:
            yield beside
            beside.end()
        except StepStopped:
            beside.end()  # raises what ended the block
            raise
        except BaseException:
            session.stopping.set()
            raise
