"""Partitions that a training takes as soon as they are committed, while others are transformed.

That a partition's manifest is there is all that tells of it; nobody sends anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from transforms.contract.errors import BraidError
from transforms.contract.process.events import report
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.files import Place
from transforms.contract.workspace.locks import is_held
from transforms.contract.workspace.manifest import ShardManifest
from transforms.contract.workspace.partition import PartitionId

# Without anyone who transforms. A server takes up to 150 s until it starts a lost flow again.
_PATIENCE_SECONDS = 300.0


class Arrivals:
    """The partitions of a job, in their order, each as soon as it is committed.

    Args:
        job: The run.
    """

    def __init__(self, job: TrainJob) -> None:
        self._job = job
        self._lock = job.folders().lock("transform", job.transform)
        self._waited = 0.0
        self._since: float | None = None

    def __iter__(self) -> Iterator[tuple[Place, ShardManifest]]:
        """Yields every partition's folder with its manifest; waits for each.

        Raises:
            BraidError: Nobody transforms what is missing.
        """
        for number, part in enumerate(self._job.partitions):
            if not self._is_there(part):
                self._wait_for(part, number)
            yield self._job.shard_folder(part)

    def waited(self) -> float:
        """Returns the seconds so far that something was waited for; any thread may ask."""
        since = self._since  # once: the thread that waits may end that meanwhile
        return self._waited + (0.0 if since is None else time.perf_counter() - since)

    def _is_there(self, part: PartitionId) -> bool:
        job = self._job
        return job.folders().is_committed(job.transform, *part)

    def _wait_for(self, part: PartitionId, number: int) -> None:
        self._since = time.perf_counter()
        busy = time.monotonic()  # when somebody was last seen to transform
        while not self._is_there(part):
            report(number, len(self._job.partitions), unit="partitions")
            time.sleep(self._job.folders().poll_seconds)
            if is_held(self._lock):
                busy = time.monotonic()
            elif time.monotonic() - busy > _PATIENCE_SECONDS:
                raise BraidError(
                    f"partition '{part.name}'",
                    expected="its shards, which training.start: streaming waits for",
                    received="none, and no process that transforms",
                    action="Run the same command again: it does what is missing and goes on.",
                )
        self._waited, self._since = self.waited(), None
