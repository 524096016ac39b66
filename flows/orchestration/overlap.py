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

from flows.orchestration.run_steps import Run, note_beside
from flows.process.child import StepStopped
from flows.records.step_result import Stopwatch


def ending_others(step: Callable[[Run], None]) -> Callable[[Run], None]:
    """Returns a step whose failure ends the one that is under way beside it."""

    @wraps(step)
    def ending(run: Run) -> None:
        try:
            step(run)
        except BaseException:
            run.processes.stopping.set()
            raise

    return ending


class StepBeside:
    """A step that may run beside those of a block.

    Args:
        run: The run.
        name: The step.
        task: Its Prefect task; its function is one of `ending_others`.
        runner: Runs it, in a thread of its own.
    """

    def __init__(self, run: Run, name: str, task: Any, runner: ThreadPoolTaskRunner[None]) -> None:
        self._run = run
        self._name = name
        self._task = task
        self._runner = runner
        self._future: PrefectFuture[None] | None = None
        self._watch = Stopwatch()
        self._earlier = run.log.record.step(name)

    @property
    def has_begun(self) -> bool:
        """Whether `begin` was called."""
        return self._future is not None

    def begin(self) -> None:
        """Begins the step."""
        self._watch = Stopwatch()
        self._future = self._runner.submit(self._task, {"run": self._run})

    def end(self) -> None:
        """Waits for its end, if it has begun.

        Raises:
            BraidError: It failed.
        """
        if self._future is None:
            return
        seconds = self._watch.seconds()
        self._future.result()
        note_beside(self._run, self._earlier, self._name, seconds)


@contextmanager
def step_beside(run: Run, name: str, task: Any) -> Iterator[StepBeside]:
    """Waits at the end of the block for a step, if that began in it.

    If one of them fails, the other is ended.

    Args:
        run: The run.
        name: The step.
        task: Its Prefect task; its function is one of `ending_others`.

    Raises:
        BraidError: What failed first.
    """
    runner: ThreadPoolTaskRunner[None] = ThreadPoolTaskRunner(max_workers=1)
    with runner:  # leaving it waits for its thread
        beside = StepBeside(run, name, task, runner)
        try:
            yield beside
            beside.end()
        except StepStopped:
            beside.end()  # raises what ended the block
            raise
        except BaseException:
            run.processes.stopping.set()
            raise
