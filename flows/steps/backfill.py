"""A backfill's own parts: its range, its shares of the machine, and what is trained after it."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from flows.steps.work import Work
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.partition import Partition
from transforms.reading.keys import check_no_shared
from transforms.source.partitions import between
from transforms.source.scan import check_schema, scan

_CHECKING_THREADS = 4


def default_workers() -> int:
    """Returns how many partitions are worked on at once unless the user says so."""
    return max(1, (os.cpu_count() or 1) // 2)


def partitions_of_source(pipeline: PipelineSpec) -> tuple[Partition, ...]:
    """Lists the source without opening its files.

    Raises:
        DeclarationError: The source is cut into windows.
        BraidError: It cannot be listed.
    """
    if pipeline.source.windows is not None:
        raise DeclarationError(
            "source.windows",
            expected="a table of partitions for a backfill",
            received="windows, which are cut from the whole table",
            action="Use `braid run`, which cuts and transforms them all.",
        )
    return scan(pipeline.source).partitions


def partitions_between(
    everything: Sequence[Partition], first: str | None, last: str | None
) -> tuple[Partition, ...]:
    """Returns the partitions of a range.

    Args:
        everything: All partitions of the source.
        first: The lowest value of the range; None begins with the source's first.
        last: The highest value, which belongs to the range; a month or a day to its end.

    Raises:
        DeclarationError: There are none.
        BraidError: A bound does not compare with the partitions.
    """
    values = {part.name: part.value for part in everything}  # a bound may be a whole name
    first, last = (values.get(bound) or bound if bound else None for bound in (first, last))
    chosen = between(everything, first, last, place="--from and --to")
    if not chosen:
        raise DeclarationError(
            "--from and --to",
            expected=f"partitions of the source, which are {everything[0].name} to "
            f"{everything[-1].name}",
            received=f"{first or 'the first'} to {last or 'the last'}, where there is none",
            action="Name the first one before the last one, or leave a bound out.",
        )
    return chosen


def unusable_partitions(
    pipeline: PipelineSpec, partitions: Sequence[Partition]
) -> list[tuple[Partition, BraidError]]:
    """Returns the partitions whose files the declaration does not fit, or that share keys."""

    def problem(partition: Partition) -> BraidError | None:
        try:
            check_schema(pipeline, partition.files)
            check_no_shared(pipeline, [partition])
        except BraidError as error:
            return error
        return None

    with ThreadPoolExecutor(_CHECKING_THREADS) as threads:
        problems = zip(partitions, threads.map(problem, partitions), strict=True)
        return [(partition, error) for partition, error in problems if error is not None]


def culprits(error: BraidError, partitions: Sequence[Partition]) -> list[Partition]:
    """Returns the partitions whose file an error of all of them names."""
    return [part for part in partitions if error.place in {file.path for file in part.files}]


def share_of(pipeline: PipelineSpec, *, workers: int, partitions: int) -> PipelineSpec:
    """Returns the declaration with one partition's share of the cores and of the shards.

    Args:
        pipeline: The declaration.
        workers: Partitions that are worked on at the same time.
        partitions: Partitions of the whole backfill.
    """
    beam = pipeline.beam
    if beam.runner == "DirectRunner" and "direct_num_workers" not in beam.options:
        cores = max(1, (os.cpu_count() or 1) // workers)
        beam = beam.model_copy(update={"options": beam.options | {"direct_num_workers": cores}})
    shards = -(-pipeline.transform.min_shards // partitions)
    transform = pipeline.transform.model_copy(update={"min_shards": shards})
    return pipeline.model_copy(update={"beam": beam, "transform": transform})


def training_sets(
    work: Work, train: str, names: Sequence[str], everything: Collection[Partition]
) -> list[tuple[Partition, ...]]:
    """Returns the partitions of each training that is due, in order.

    A model learns from all that is committed and still in the source. With `each`, the model after
    a partition has not seen the later ones of the range.

    Args:
        work: The backfill's work, under its transform.
        train: "once", "each" or "none".
        names: The names of the range's partitions, in order.
        everything: All partitions of the source.
    """
    if train == "none":
        return []
    there = work.workspace.committed(work.transform, [part.id for part in everything])
    committed = tuple(part for part in everything if part.id in there)
    if train == "once":
        return [committed]
    return [
        tuple(part for part in committed if part.name not in names[index + 1 :])
        for index in range(len(names))
    ]
