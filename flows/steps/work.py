"""Work: the partitions of a pipeline under a transform, and the folder of who works on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.console.harmless import plain
from trainer.run_folder import EXPORT_FOLDER
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.jobs import TrainJob, TransformJob, WarmStart
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice
from transforms.source.partitions import choose


@dataclass(frozen=True)
class Work:
    """The input of every step of a run or of a backfill: locations, never data.

    Attributes:
        pipeline: The declaration.
        workspace: Where everything lies.
        folder: The folder of the run, the tuning or the backfill.
        choice: The transform.
        partitions: The partitions to work on; in a run all of the source, some of which train.
    """

    pipeline: PipelineSpec
    workspace: Workspace
    folder: Path
    choice: TransformChoice
    partitions: tuple[Partition, ...]

    @property
    def title(self) -> str:
        """The pipeline and the partitions, for the names of tasks."""
        return title_of(self.pipeline, self.partitions)

    @property
    def transform(self) -> str:
        """The fingerprint of the transform."""
        return self.choice.name

    @property
    def trained(self) -> tuple[Partition, ...]:
        """The partitions whose rows train, validate and test: `training.partitions`."""
        return choose(self.partitions, self.pipeline.training)

    @property
    def export_folder(self) -> Path:
        """The folder of the run's exported model."""
        return self.folder / EXPORT_FOLDER

    def manifest(self, partition: Partition) -> ShardManifest | None:
        """Returns the manifest of a partition's shards, or None if they are not committed."""
        return self.workspace.read_shards(self.transform, *partition.id)

    def manifests(self, partitions: Sequence[Partition]) -> list[ShardManifest]:
        """Returns the manifests of those partitions whose shards are committed, in their order."""
        manifests = self.workspace.read_all_shards(self.transform, [p.id for p in partitions])
        return [manifests[part.id] for part in partitions if part.id in manifests]

    def transform_job(self, partitions: Sequence[Partition] | None = None) -> TransformJob:
        """Returns the job of analyzing or transforming partitions; by default all of them."""
        return TransformJob(
            pipeline=self.pipeline,
            workspace=str(self.workspace.root),
            transform=self.transform,
            partitions=self.partitions if partitions is None else tuple(partitions),
            base=self.choice.base,
        )

    def train_job(
        self, champion: Path | None = None, *, warm_start: WarmStart | None = None
    ) -> TrainJob:
        """Returns the job of every step after the shards."""
        return TrainJob(
            pipeline=self.pipeline.modelled(),
            workspace=str(self.workspace.root),
            transform=self.transform,
            partitions=tuple(part.id for part in self.trained),
            run_folder=str(self.folder),
            champion=None if champion is None else str(champion),
            warm_start=warm_start,
        )


def title_of(pipeline: PipelineSpec, partitions: Sequence[Partition]) -> str:
    """Returns what a run works on, in a few words."""
    return plain(f"{pipeline.name}, {span(partitions)}")


def search_path(pipeline: PipelineSpec, declaration: Path) -> Path | None:
    """Returns where the user's own modules lie; None if the declaration names none."""
    return declaration.absolute().parent if pipeline.has_user_code() else None


def span(partitions: Sequence[Partition]) -> str:
    """Returns which partitions these are, in the order of the source, in a few words."""
    first, last = partitions[0].name, partitions[-1].name
    return first if len(partitions) == 1 else f"{first} to {last} ({len(partitions)} partitions)"
