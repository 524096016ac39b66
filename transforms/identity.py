"""What names a transform."""

from __future__ import annotations

from collections.abc import Iterable

from transforms.contract.fingerprint import fingerprint
from transforms.contract.jobs import Partition
from transforms.contract.pipeline import PipelineSpec


def transform_fingerprint(pipeline: PipelineSpec, partitions: Iterable[Partition]) -> str:
    """Returns the name of the transform that analyzing these partitions gives.

    The declaration that shapes the data and the rows decide the frozen statistics, so their
    fingerprints name them before they are computed.
    """
    analyzed = {partition.name: partition.fingerprint for partition in partitions}
    return fingerprint([pipeline.data_fingerprint(), analyzed])
