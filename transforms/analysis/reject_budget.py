"""The rejects of an analysis, held against what a run may lose while they are counted.

An analysis reads the columns that statistics are made of, so that it counts some of the rejects of
the transform and never more.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from functools import cache

from transforms.contract.steps.budget import too_many_rejects
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.manifest import RejectCount
from transforms.reading.batches import Reject
from transforms.reading.keys import read_hashes
from transforms.reading.sensitive import shown_rejects
from transforms.source.partitions import choose


class RejectBudget:
    """How many rows of the partitions that train may be rejected, and how many are.

    Threads of one process share it. Processes of other machines each have one of their own, and so
    stop later.

    Args:
        job: The analysis.
        with_key: What `rows_with_key` says of it where the workspace is.
    """

    def __init__(self, job: TransformJob, with_key: int | None) -> None:
        self._pipeline = job.pipeline
        self._trained = {part.name for part in choose(job.partitions, job.pipeline.training)}
        self._with_key = with_key
        self._fraction = job.pipeline.transform.max_reject_fraction
        self._counts: Counter[tuple[str, str]] = Counter()  # by column and reason
        self._keyless = 0
        self._first: dict[tuple[str, str], Reject] = {}
        self._lock = threading.Lock()

    @classmethod
    def shared(cls, job: TransformJob, call: str, with_key: int | None) -> RejectBudget:
        """Returns the one budget of this process.

        Args:
            job: The analysis.
            call: What tells this call of the analysis from others.
            with_key: What `rows_with_key` says of it where the workspace is.
        """
        with _opening:
            return _opened(job.model_dump_json(), call, with_key)

    def add(self, partition: str, rejects: Sequence[Reject]) -> None:
        """Counts rejects of a partition.

        Raises:
            BraidError: Whatever the rows to come are like, more are lost than may be.
        """
        if self._with_key is None or partition not in self._trained:
            return
        with self._lock:
            for reject in rejects:
                self._first.setdefault((reject.column, reject.reason), reject)
                self._counts[reject.column, reject.reason] += 1
                self._keyless += not reject.key
            self._refuse(self._with_key)

    def _refuse(self, with_key: int) -> None:
        rejected = self._counts.total()
        # A row without a key is none of those with one: each that comes adds to both sides.
        rows = with_key + self._keyless
        if rejected > self._fraction * rows:
            raise too_many_rejects(
                self._worst(),
                rejected=rejected,
                rows=rows,
                fraction=self._fraction,
                then="No other row was read; `braid validate` looks at some values of all columns.",
            )

    def _worst(self) -> RejectCount:
        ((column, reason), rows), *_ = self._counts.most_common(1)
        (example,) = shown_rejects(self._pipeline, [self._first[column, reason]])
        return RejectCount(
            column=column,
            reason=reason,
            rows=rows,
            example_key=example.key,
            example_file=example.file,
        )


def rows_with_key(job: TransformJob) -> int | None:
    """Returns the rows of the partitions that train that have a key, as their check left them.

    None is of partitions whose keys were not checked.
    """
    folders, key = job.folders(), job.pipeline.source.key_rows
    paths = [folders.keys(key, *p.id) for p in choose(job.partitions, job.pipeline.training)]
    if not all(path.exists() for path in paths):
        return None
    return sum(len(read_hashes(path)) for path in paths)


_opening = threading.Lock()


@cache
def _opened(job: str, call: str, with_key: int | None) -> RejectBudget:
    del call  # which only tells one call of the analysis from another
    return RejectBudget(TransformJob.model_validate_json(job), with_key)
