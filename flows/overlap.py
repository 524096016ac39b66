"""The training beside the transform: `training.start: streaming`.

Import this after `flows.engine.configure`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows import model_steps
from flows.process import StepStopped
from flows.run import pending_partitions
from flows.session import Session, Stopwatch


def train(session: Session) -> None:
    """Trains as `model_steps.train` does; a failure ends the step that is under way beside it."""
    try:
        model_steps.train(session)
    except BaseException:
        session.stopping.set()
        raise


class EarlyTraining:
    """A training that may begin before all partitions are transformed.

    Args:
        session: The run.
        task: The Prefect task of `train`.
        runner: Runs it, in a thread of its own.
    """

    def __init__(self, session: Session, task: Any, runner: ThreadPoolTaskRunner[None]) -> None:
        self._session = session
        self._task = task
        self._runner = runner
        self._future: PrefectFuture[None] | None = None
        self._watch = Stopwatch()
        self._earlier = session.record.step("train")

    @property
    def has_begun(self) -> bool:
        """Whether it did begin early."""
        return self._future is not None

    def begin(self) -> None:
        """Begins, if the declaration wants that and partitions have yet to be transformed."""
        session = self._session
        pending = pending_partitions(session.workspace, session.transform, session.partitions)
        if session.pipeline.training.start == "streaming" and pending:
            self._watch = Stopwatch()
            self._future = self._runner.submit(self._task, {"session": session})

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
            step = session.record.step("train")
            if step is not None and step is not self._earlier and step.seconds is not None:
                both = round(min(beside, step.seconds), 3)
                session.record.put_step(step.model_copy(update={"beside": both}))
                session.save()


@contextmanager
def early_training(session: Session, task: Any) -> Iterator[EarlyTraining]:
    """Waits at the end of the block for the training, if that began in it.

    If one of them fails, the other is ended.

    Args:
        session: The run.
        task: The Prefect task of `train`.

    Raises:
        BraidError: What failed first.
    """
    runner: ThreadPoolTaskRunner[None] = ThreadPoolTaskRunner(max_workers=1)
    with runner:  # leaving it waits for its thread
        training = EarlyTraining(session, task, runner)
        try:
            yield training
            training.end()
        except StepStopped:
            training.end()  # raises what ended the block
            raise
        except BaseException:
            session.stopping.set()
            raise
