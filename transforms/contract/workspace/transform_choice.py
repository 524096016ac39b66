"""The name of a transform, and the choice of the one that a run uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.fingerprint import fingerprint
from transforms.contract.workspace.drift import JudgedDrift, judge
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition


@dataclass(frozen=True)
class TransformChoice:
    """The transform that a run uses.

    Attributes:
        name: The transform's fingerprint.
        base: The transform whose ids it keeps, if it is yet to be computed and has one.
        drift: How far new partitions are from those of the newest transform, if that decided.
    """

    name: str
    base: str | None = None
    drift: JudgedDrift | None = None


@dataclass(frozen=True)
class Undecided:
    """A choice that the drift of new partitions decides, which is not measured yet.

    Attributes:
        newest: The fingerprint of the newest transform.
        new: The partitions that it was not frozen on.
    """

    newest: str
    new: tuple[Partition, ...]


def transform_fingerprint(
    pipeline: PipelineSpec, partitions: Iterable[Partition], *, base: str | None = None
) -> str:
    """Returns the name of the transform that analyzing these partitions gives.

    The declaration that shapes the data and the rows decide the frozen statistics, so their
    fingerprints name them before they are computed; and so does the transform whose ids are kept.
    """
    lineage = [] if base is None else [base]
    return fingerprint([pipeline.data_fingerprint(), _fingerprints(partitions), *lineage])


def choose_transform(
    pipeline: PipelineSpec, partitions: Sequence[Partition], workspace: Workspace
) -> TransformChoice | Undecided:
    """Returns which transform a run over these partitions uses.

    Without a refit that is the newest committed one, whatever partitions it was frozen on. What a
    killed run chose is chosen again, as it depends on nothing but what is committed and measured.
    """
    newest = workspace.newest_transform(pipeline.data_fingerprint())
    if newest is None:
        return TransformChoice(transform_fingerprint(pipeline, partitions))
    kept = TransformChoice(newest.fingerprint)
    refit = pipeline.transform.refit
    if refit == "never":
        return kept
    if refit == "always":
        return _refitted(pipeline, partitions, workspace, newest.fingerprint)
    new = tuple(p for p in partitions if newest.partitions.get(p.name) != p.fingerprint)
    if not new:
        return kept
    measured = workspace.read_drift(newest.fingerprint, _fingerprints(new))
    if measured is None:
        return Undecided(newest.fingerprint, new)
    moving = {name for name, spec in pipeline.features.items() if spec.moves_on}
    drift = judge(measured, pipeline.transform.drift, moving)
    if not drift.exceeded():
        return TransformChoice(newest.fingerprint, drift=drift)
    refitted = _refitted(pipeline, partitions, workspace, newest.fingerprint)
    return TransformChoice(refitted.name, refitted.base, drift)


def _refitted(
    pipeline: PipelineSpec, partitions: Sequence[Partition], workspace: Workspace, newest: str
) -> TransformChoice:
    if pipeline.transform.vocabulary == "refit":
        return TransformChoice(transform_fingerprint(pipeline, partitions))
    analyzed = _fingerprints(partitions)
    for committed in workspace.transforms_of(pipeline.data_fingerprint()):
        if committed.partitions == analyzed:
            return TransformChoice(committed.fingerprint)
    return TransformChoice(transform_fingerprint(pipeline, partitions, base=newest), newest)


def _fingerprints(partitions: Iterable[Partition]) -> dict[str, str]:
    return {partition.name: partition.fingerprint for partition in partitions}
