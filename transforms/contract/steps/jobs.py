"""The jobs that the flow hands to steps in processes of their own: locations, never data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.leases.lease import lease_place, refuse_lost
from transforms.contract.spec import Spec
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.files import Place
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest, TransformManifest
from transforms.contract.workspace.partition import Partition, PartitionId


class TransformedJob(Spec):
    """Work on what a transform makes, or has made.

    Attributes:
        pipeline: The declaration.
        workspace: Where everything lies.
        transform: The transform's fingerprint.
    """

    pipeline: PipelineSpec
    workspace: str
    transform: str

    def folders(self) -> Workspace:
        """Returns the workspace, with the store that is declared for it."""
        return Workspace.declared(Path(self.workspace), self.pipeline.declared_store())

    def manifest(self) -> TransformManifest:
        """Returns the manifest of the transform, with all that it was frozen for."""
        manifest = self.folders().read_transform(self.transform)
        if manifest is None:
            raise FileNotFoundError(str(self.folders().transform(self.transform)))
        return manifest


class TransformJob(TransformedJob):
    """Analysis or transform of some partitions, or how far they are from a transform's.

    Attributes:
        partitions: What to analyze, to transform, or to measure.
        base: The transform whose ids an analysis keeps.
        lease: The token of the lease under which the flow lets this write into a bucket.
    """

    partitions: tuple[Partition, ...]
    base: str | None = None
    lease: str | None = None

    def refuse_lost_lease(self) -> None:
        """Refuses to go on if another workspace has taken the lease over; asks the bucket.

        Raises:
            LeaseLost: One has.
        """
        store = self.folders().stored
        if self.lease is not None and isinstance(store, BucketPath):
            refuse_lost(lease_place(store, "transform", self.transform), self.lease)

    def table(self) -> PipelineSpec:
        """Returns the declaration as it reads the partitions' files."""
        return declaration_of_table(self.pipeline, self.partitions)


def declaration_of_table(pipeline: PipelineSpec, partitions: Sequence[Partition]) -> PipelineSpec:
    """Returns the declaration as it reads partitions; windows are cut by then, into one file."""
    if pipeline.source.windows is None:
        return pipeline
    return pipeline.of_windows(partitions[0].files[0].path)


class WarmStart(Spec):
    """The registered model whose weights a training begins with.

    Attributes:
        version: Its version.
        folder: The folder of its export.
    """

    version: str
    folder: str


class TrainJob(TransformedJob):
    """Training, evaluation and export of one run, on committed shards.

    Attributes:
        pipeline: The declaration with what its model uses: `PipelineSpec.modelled`.
        partitions: The partitions that the data set consists of, in the order of the source. Where
            `training.start` is "streaming", a training may begin before they are committed.
        run_folder: Where checkpoints, the model, its evaluation and its export go.
        champion: The folder of the present champion's export, to be scored on the same test rows.
        warm_start: What the training begins with; None begins at random.
    """

    partitions: tuple[PartitionId, ...]
    run_folder: str
    champion: str | None = None
    warm_start: WarmStart | None = None

    def manifest(self) -> TransformManifest:
        """Returns the manifest of the job's transform, as the job's model sees it."""
        return super().manifest().of_model(self.pipeline.features, self.pipeline.targets)

    def shard_folder(self, part: PartitionId) -> tuple[Place, ShardManifest]:
        """Returns a partition's folder with its manifest."""
        return self._shard_folders([part])[0]

    def shard_folders(self) -> tuple[tuple[Place, ShardManifest], ...]:
        """Returns every partition's folder with its manifest."""
        return self._shard_folders(self.partitions)

    def _shard_folders(
        self, partitions: Sequence[PartitionId]
    ) -> tuple[tuple[Place, ShardManifest], ...]:
        workspace = self.folders()
        manifests = workspace.read_all_shards(self.transform, partitions)
        folders = {part: workspace.shards(self.transform, *part) for part in partitions}
        for part, folder in folders.items():
            if part not in manifests:
                raise FileNotFoundError(str(folder))
        return tuple((folders[part], manifests[part]) for part in partitions)
