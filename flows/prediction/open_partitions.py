"""The partitions that a scoring works on: cut into units, and settled when these are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from flows.prediction.prediction_folder import PartitionRecords, PredictionFolder, UnitReceipt
from flows.prediction.score_job import PartitionOutcome, ScoreJob
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.workspace.partition import Partition
from transforms.source.changes import refuse_changed
from transforms.source.scan import check_schema, open_filesystem
from transforms.source.units import WorkUnit, plan_units

_THREADS = 16  # footers and records are small and, in a bucket, far away


@dataclass
class _Open:
    """A partition that is not settled yet.

    Attributes:
        units: All of its units.
        before: The numbers of those that an earlier scoring has done.
    """

    partition: Partition
    records: PartitionRecords
    units: list[WorkUnit]
    before: frozenset[int]

    @property
    def todo(self) -> list[WorkUnit]:
        """The other units."""
        return [unit for unit in self.units if unit.index not in self.before]


class OpenPartitions:
    """The partitions of one scoring.

    Args:
        job: The scoring.
        folder: Where its predictions go.
        at_least: How many units each partition is cut into at least, unless an earlier scoring has
            cut it already.
        on_settled: Is told of every partition that is done, or cannot be.
    """

    def __init__(
        self,
        job: ScoreJob,
        folder: PredictionFolder,
        at_least: int,
        on_settled: Callable[[PartitionOutcome], None],
    ) -> None:
        self._job, self._folder, self._on_settled = job, folder, on_settled
        self._written: dict[str, int] = {}  # rows, by the path of a unit's receipt
        self._open: dict[str, _Open] = {}
        paths = folder.paths()
        with ThreadPoolExecutor(_THREADS) as threads:
            cut = threads.map(lambda p: self._cut(p, at_least, paths), job.partitions)
            for partition, opened in zip(job.partitions, cut, strict=True):
                if isinstance(opened, ErrorReport):
                    self._fail(partition.name, opened)
                else:
                    self._open[partition.name] = opened

    def units(self) -> list[WorkUnit]:
        """Returns the units that are to be done, in the order of the partitions."""
        return [unit for each in self._open.values() for unit in each.todo]

    def by_partition(self) -> Iterator[list[WorkUnit]]:
        """Yields the units of one partition after the other; who takes the next has done those."""
        for name, each in list(self._open.items()):
            yield each.todo
            self.settle(name)

    def settle(self, name: str) -> None:
        """Commits a partition whose units are done, or tells why it cannot be.

        Raises:
            BraidError: A unit has left neither a receipt nor a reason.
        """
        opened = self._open[name]
        receipts = [self._receipt(opened, unit) for unit in opened.units]
        whole = [receipt for receipt in receipts if receipt is not None]
        if len(whole) < len(receipts):
            self._fail(name, self._reason(opened, receipts))
            return
        try:
            refuse_changed(self._job.table.source.path, opened.partition.files)
        except BraidError as error:
            self._fail(name, ErrorReport.of(error))
            return
        done = opened.records.commit(whole)
        del self._open[name]
        self._on_settled(
            PartitionOutcome(name=name, rows=done.rows, scored=done.scored, reasons=done.reasons)
        )

    def settle_those_done(self) -> None:
        """Settles every partition whose units have all left a receipt or a reason."""
        paths = self._folder.paths()
        for name, each in list(self._open.items()):
            if all(_has_ended(each.records, unit, paths) for unit in each.units):
                self.settle(name)

    def settle_all(self) -> None:
        """Settles what is left."""
        for name in list(self._open):
            self.settle(name)

    def rows_written(self) -> int:
        """Returns the rows of the units that workers are done with, by their receipts."""
        paths = self._folder.paths() if self._open else set()
        for each in list(self._open.values()):
            for unit in each.todo:
                path = each.records.receipt_path(unit.index)
                if path in paths and path not in self._written:
                    self._receipt(each, unit)
        return sum(self._written.values())

    def _receipt(self, opened: _Open, unit: WorkUnit) -> UnitReceipt | None:
        """Returns a unit's receipt, and counts its rows if this scoring has done it."""
        receipt = opened.records.receipt(unit.index)
        if receipt is not None and unit.index not in opened.before:
            self._written[opened.records.receipt_path(unit.index)] = receipt.rows
        return receipt

    def _cut(self, partition: Partition, at_least: int, paths: set[str]) -> _Open | ErrorReport:
        """Returns a partition in its units, or why its files cannot be scored."""
        table = self._job.table
        records = self._folder.records(partition, self._job.scoring)
        filesystem, _ = open_filesystem(table.source.path)
        try:
            check_schema(table, partition.files, features_only=True)
            units = plan_units(
                partition,
                format_=table.source.format,
                filesystem=filesystem,
                at_least=records.planned(at_least),
            )
        except BraidError as error:
            return ErrorReport.of(error)
        begun = [unit.index for unit in units if _has_ended(records, unit, paths)]
        before = {index for index in begun if records.receipt(index) is not None}
        for index in begun:
            if index not in before:
                records.begin_again(index)
        return _Open(partition, records, units, frozenset(before))

    def _fail(self, name: str, report: ErrorReport) -> None:
        self._open.pop(name, None)
        self._on_settled(PartitionOutcome(name=name, error=report))

    def _reason(self, opened: _Open, receipts: list[UnitReceipt | None]) -> ErrorReport:
        """Returns why the first of the units without a receipt has none."""
        unit = next(u for u, receipt in zip(opened.units, receipts, strict=True) if receipt is None)
        report = opened.records.failure(unit.index)
        if report is None:
            raise BraidError(
                f"--output {self._job.output}",
                expected=f"a receipt of every unit of partition {opened.partition.name}",
                received=f"none of unit {unit.index}, or not its part",
                action="Let nobody else write there, and run the same command again.",
            )
        return report


def _has_ended(records: PartitionRecords, unit: WorkUnit, paths: set[str]) -> bool:
    names = (records.receipt_path(unit.index), records.failure_path(unit.index))
    return any(name in paths for name in names)
