"""Trials: trainings of the same shards with other keys, one after another in one process.

TensorFlow's start takes longer than many a trial. What a killed process leaves are the trials that
had ended.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Literal

import keras

from trainer.data.seam import check_seam
from trainer.data.shards import count_rows
from trainer.recipe import recipe_of
from trainer.training.checkpoint import Checkpoints
from trainer.training.early_stopping import TrainingState
from trainer.training.training import Training
from trainer.training.training_data import TrainingData
from trainer.tuning.search import PARTS, Asked, Search, is_declaration
from transforms.contract.errors import BraidError, Diverged
from transforms.contract.process.events import report
from transforms.contract.steps.results import TuneResult
from transforms.contract.steps.tuning import (
    Trial,
    TuneJob,
    next_number,
    read_trials,
    settings_of,
    with_settings,
    write_trial,
)
from transforms.contract.workspace.files import remove


class _FellBehind(Exception):  # noqa: N818 - it names what happened
    """A trial is worse than others were at its stage."""


class _TimeIsUp(Exception):  # noqa: N818 - it names what happened
    """The time for trials is over in the middle of one."""


def tune(job: TuneJob) -> TuneResult:
    """Runs trials until there are as many as are to be, or the time is up.

    A trial that the end of the time cuts is dropped, but the declaration's own goes to its end:
    without it nothing could be compared.

    Raises:
        BraidError: There are no validation rows, or a shard is damaged.
    """
    deadline = time.monotonic() + job.seconds
    folder = Path(job.folder)
    trials = _Trials(job)
    known = read_trials(folder)
    before = len(known)
    while len(known) < job.trials and (time.monotonic() < deadline or not _has_begun(known)):
        number = next_number(folder, known)
        trial = trials.run(number, known, deadline if _has_begun(known) else None)
        if trial is None:
            break
        write_trial(folder, trial)
        known = read_trials(folder)
        report(len(known), job.trials, unit="trials")
    train, validation = trials.rows()
    return TuneResult(trials=len(known) - before, train=train, validation=validation)


def _has_begun(known: tuple[Trial, ...]) -> bool:
    return any(is_declaration(trial) for trial in known)


class _Trials:
    """The trials of one job.

    Args:
        job: What to search, and on which shards.
    """

    def __init__(self, job: TuneJob) -> None:
        self._job, self._folder = job, Path(job.folder)
        pipeline = job.training.pipeline
        self._manifest = job.training.manifest()
        check_seam(pipeline, self._manifest)
        self._data = TrainingData(job.training)
        if count_rows(self._data.validation) == 0:
            raise BraidError(
                f"the validation split of pipeline '{pipeline.name}'",
                expected="rows to compare trials by",
                received="none",
                action="Give the split validation rows, or train without a tuning.",
            )
        self._search = Search(job.keys, self._data.recipe(self._manifest))

    def rows(self) -> tuple[int, int]:
        """Returns the training and the validation rows that trials look at."""
        return self._data.rows, count_rows(self._data.validation)

    def run(self, number: int, known: tuple[Trial, ...], deadline: float | None) -> Trial | None:
        """Runs a trial to its end, or until it falls behind; None if the time was up.

        Args:
            number: Its number.
            known: The trials that have ended.
            deadline: When the time is up, by the monotonic clock; None never.
        """
        asked = self._search.ask(number, known)
        watch = _Watch(asked, deadline)
        folder = self._folder / f"{number:04d}"
        for left in self._folder.glob("[0-9]*"):
            if left.is_dir():
                remove(left)  # of trials that were killed
        began = time.monotonic()
        status: Literal["complete", "pruned", "diverged"] = "complete"
        try:
            self._train(asked, folder, watch)
        except _FellBehind:
            status = "pruned"
        except Diverged:
            status = "diverged"
        except _TimeIsUp:
            return None
        finally:
            remove(folder)
            keras.backend.clear_session()
            gc.collect()
        return Trial(
            number=number,
            status=status,
            loss=None if status == "diverged" else watch.state.best_loss,
            changes=asked.changes,
            parameters=asked.parameters,
            curve=tuple(watch.curve),
            steps=watch.state.steps,
            seconds=round(time.monotonic() - began, 3),
        )

    def _train(self, asked: Asked, folder: Path, watch: _Watch) -> None:
        settings = settings_of(self._job.keys, asked.changes)
        pipeline = with_settings(self._job.training.pipeline, settings)
        recipe = recipe_of(
            pipeline, self._manifest, self._data.rows, count_rows(self._data.validation)
        )
        watch.planned = recipe.planned_steps()
        job = self._job.training.model_copy(
            update={"pipeline": pipeline, "run_folder": str(folder)}
        )
        training = Training(job, self._manifest, self._data, recipe, after_round=watch)
        training.run(recipe, Checkpoints(folder))


class _Watch:
    """Follows a trial round by round, and ends it.

    Attributes:
        state: How far the training is.
        planned: Its steps if nothing stops it.
        curve: The best validation loss so far, after each part of them.

    Args:
        asked: The trial.
        deadline: When it has to end, by the monotonic clock.
    """

    def __init__(self, asked: Asked, deadline: float | None) -> None:
        self._asked, self._deadline = asked, deadline
        self.state = TrainingState()
        self.planned = 1
        self.curve: list[float] = []

    def __call__(self, state: TrainingState) -> None:
        self.state = state
        loss = state.best_loss
        if loss is None or state.stopped:
            return
        behind = False
        for part in range(len(self.curve) + 1, PARTS * state.steps // self.planned + 1):
            self.curve.append(loss)
            behind = self._asked.falls_behind(part, loss)
        if behind:
            raise _FellBehind
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise _TimeIsUp
