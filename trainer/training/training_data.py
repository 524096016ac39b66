"""The rows that a training learns from, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import tensorflow as tf

from trainer.data.arrivals import Arrivals
from trainer.data.held import HeldRows, can_be_held
from trainer.data.shards import ShardFile, count_rows, files_of, shard_files, verify
from trainer.data.stream import BatchLayout, arriving_batches, readable_errors, training_batches
from trainer.recipe import Recipe, recipe_of
from trainer.training.checkpoint import Position
from trainer.training.epoch import EpochData
from transforms.contract.errors import BraidError
from transforms.contract.process.events import report_doing
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.manifest import TransformManifest


class TrainingData:
    """The shards that a training reads; each is verified before it is read.

    With `training.start: streaming` the first epoch waits for partition after partition; whoever
    asks for all files or rows waits for all partitions, and then gets the errors of `epoch`.

    Args:
        job: The run.
    """

    def __init__(self, job: TrainJob) -> None:
        self._job = job
        is_early = job.pipeline.training.start == "streaming"
        self._arrivals = Arrivals(job) if is_early else None
        self._verified: list[ShardFile] = []
        self._error: BraidError | None = None
        self._held: HeldRows | None = None

    @property
    def train(self) -> tuple[ShardFile, ...]:
        """The training shards of all partitions."""
        return self._files["train"]

    @property
    def validation(self) -> tuple[ShardFile, ...]:
        """The validation shards of all partitions."""
        return self._files["validation"]

    @property
    def rows(self) -> int:
        """Training rows."""
        return count_rows(self.train)

    def recipe(self, manifest: TransformManifest) -> Recipe:
        """Returns the recipe of the job's training.

        With `training.start: streaming` it follows from the rows that the transform was frozen on.

        Args:
            manifest: The transform.
        """
        if self._arrivals is not None:
            return recipe_of(self._job.pipeline, manifest, max(1, manifest.rows), None)
        return recipe_of(self._job.pipeline, manifest, self.rows, count_rows(self.validation))

    def round(
        self, layout: BatchLayout, recipe: Recipe, start: Position, *, all_rows: bool
    ) -> EpochData:
        """Returns what a round has still to learn.

        Args:
            layout: What the records hold.
            recipe: The epochs of a round, and the size of a batch.
            start: How far the round is.
            all_rows: Whether validation rows are learnt too.

        Raises:
            BraidError: There are no training rows, a shard is damaged, or one does not arrive. What
                goes wrong while the batches are drawn is raised by `readable_errors`.
        """
        if self._arrivals is not None and start.epoch == 0:
            batches = arriving_batches(self._arriving, layout, recipe, first_batch=start.batches)
            return EpochData(batches, 1, None, self._arrivals.waited)
        files = (*self.train, *self.validation) if all_rows else self.train
        epochs = min(recipe.epochs_per_round, recipe.epochs - start.epoch)
        rows = count_rows(files) * epochs
        asked = {"epoch": start.epoch, "epochs": epochs, "first_batch": start.batches}
        if not can_be_held(files, layout, recipe):
            return EpochData(training_batches(files, layout, recipe, **asked), epochs, rows)
        held = self._holding(files, layout)
        return EpochData(held.batches(recipe, **asked), epochs, rows, unpack=held.unpack)

    def _holding(self, files: tuple[ShardFile, ...], layout: BatchLayout) -> HeldRows:
        """Returns the rows of some files, which stay in memory until others are asked for."""
        if self._held is None or not self._held.are_of(files, layout):
            self._held = None  # one after the other, as the memory is for one
            report_doing("reading the rows")
            self._held = HeldRows(files, layout)
        return self._held

    @contextmanager
    def readable_errors(self) -> Iterator[None]:
        """Turns what TensorFlow raises on damaged or missing shards into an error that names them.

        Raises:
            BraidError: A shard is damaged, or does not arrive.
        """
        try:
            with readable_errors(self._verified):
                yield
        except tf.errors.OpError:
            if self._error is None:
                raise
            raise self._error from None

    def _arriving(self) -> Iterator[tuple[ShardFile, ...]]:
        rows = 0
        try:
            for folder, manifest in self._arrivals or ():
                files = files_of(folder, manifest, "train")
                self._verify(files)
                rows += count_rows(files)
                yield files
            if rows == 0:
                raise self._no_rows()
        except BraidError as error:
            self._error = error  # TensorFlow, which draws from this, keeps nothing but its text
            raise

    @cached_property
    def _files(self) -> dict[str, tuple[ShardFile, ...]]:
        for _ in self._arrivals or ():
            pass  # all are to be there
        files = {split: shard_files(self._job, split) for split in ("train", "validation")}
        if count_rows(files["train"]) == 0:
            raise self._no_rows()
        self._verify([*files["train"], *files["validation"]])
        return files

    def _verify(self, files: Sequence[ShardFile]) -> None:
        known = {file.path for file in self._verified}
        new = [file for file in files if file.path not in known]
        verify(new)
        self._verified += new

    def _no_rows(self) -> BraidError:
        return BraidError(
            f"the training split of pipeline '{self._job.pipeline.name}'",
            expected="at least one row",
            received=f"none in {len(self._job.partitions)} partitions",
            action="Look at the rejects and at the split in the declaration.",
        )
