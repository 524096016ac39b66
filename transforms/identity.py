"""What names a transform, and which one a run uses."""

from __future__ import annotations

from collections.abc import Iterable

from transforms.contract.fingerprint import fingerprint
from transforms.contract.jobs import Partition
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.workspace import Workspace


def transform_fingerprint(pipeline: PipelineSpec, partitions: Iterable[Partition]) -> str:
    """Returns the name of the transform that analyzing these partitions gives.

    The declaration that shapes the data and the rows decide the frozen statistics, so their
    fingerprints name them before they are computed.
    """
    analyzed = {partition.name: partition.fingerprint for partition in partitions}
    return fingerprint([pipeline.data_fingerprint(), analyzed])


def transform_of_run(
    pipeline: PipelineSpec, partitions: Iterable[Partition], workspace: Workspace
) -> str:
    """Returns the name of the transform that a run over these partitions uses.

    Without a refit that is the newest committed one, whatever partitions it was frozen on.
    """
    if pipeline.transform.refit == "never":
        kept = workspace.newest_transform(pipeline.data_fingerprint())
        if kept is not None:
            return kept.fingerprint
    return transform_fingerprint(pipeline, partitions)
