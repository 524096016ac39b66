"""`braid init --from` on CSV files that nobody prepared, beside careful declarations by hand.

    python -m tests.benchmarks.raw_tables --data FOLDER [--tables penguins,OJ]

FOLDER has NAME.csv for every declaration `raw_tables/NAME.yaml`, as its package ships it:
penguins-raw.csv of palmerpenguins, as penguins.csv; seattle-weather.csv of vega_datasets, as
weather.csv; diamonds.csv of pydataset; all others of ISLP. Every table is declared by `braid init
--from` and run unedited; then the features and targets of the declaration by hand are run on the
same rows and the same split. Both models are judged on the test rows. The exit code is 1 if fewer
than eight of ten end in a champion that beats the constant and reaches 0.98 of what the hand does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from flows.records.record import RunRecord
from tests.benchmarks.quality_runs import carry_out, trained
from tests.benchmarks.report import Report

_BY_HAND = Path(__file__).parent / "raw_tables"
_METRICS = {"numeric": "r2", "binary": "auc", "multiclass": "accuracy"}
_LEVEL = 0.98  # of the figure of a declaration by hand
_ENOUGH = 0.8  # of the tables


@dataclass(frozen=True)
class Measured:
    """What came of one table.

    Attributes:
        metric: Of the test rows: R2, AUC or accuracy.
        proposed: The figure of what `braid init --from` declares.
        by_hand: That of the declaration by hand.
        constant: That of the best constant answer.
        is_champion: Whether the proposal's model became the champion.
        seconds: Of `braid init --from` and `braid run` together.
    """

    table: str
    metric: str
    proposed: float
    by_hand: float
    constant: float
    is_champion: bool
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the model is worth what a careful person's is."""
        better = self.proposed > self.constant
        return self.is_champion and better and self.proposed >= _LEVEL * self.by_hand

    def line(self) -> tuple[str, ...]:
        """Returns the report's line."""
        figures = (self.proposed, self.by_hand, self.constant)
        return (
            self.table,
            self.metric,
            *(f"{figure:.3f}" for figure in figures),
            f"{self.proposed / self.by_hand:.3f}",
            "yes" if self.is_champion else "no",
            f"{self.seconds:.0f}",
        )


def main(data: Path, tables: list[str], work: Path) -> int:
    """Returns 1 if too few tables hold."""
    measured = [_measure(name, data / f"{name}.csv", work / name) for name in tables]
    held = sum(each.holds for each in measured)
    Report(
        title=f"{len(measured)} CSV files as they come",
        command="python -m tests.benchmarks.raw_tables --data folder",
        columns=["table", "of test rows", "init --from", "by hand", "constant", "ratio",
                 "champion", "seconds"],
        lines=[each.line() for each in measured],
        sentences=[f"{held} of {len(measured)} are champions at {_LEVEL} of the hand's or above."],
        details={each.table: asdict(each) for each in measured},
    ).keep("raw_tables")  # fmt: skip
    return 0 if held >= _ENOUGH * len(measured) else 1


def _measure(name: str, table: Path, folder: Path) -> Measured:
    by_hand = yaml.safe_load((_BY_HAND / f"{name}.yaml").read_text())
    (target, spec), *_ = by_hand["targets"].items()
    folder.mkdir(parents=True)
    began = time.monotonic()
    arguments = ["init", str(folder / "proposed"), "--from", str(table), "--target", target]
    carry_out(arguments, folder / "init.log")
    proposal = folder / "proposed" / "pipeline.yaml"
    record = trained(proposal, (), folder / "proposed.log")
    seconds = time.monotonic() - began
    hand = _beside(proposal, by_hand, folder / "by_hand")
    metric = _METRICS[spec["kind"]]
    figure = f"test_{target}_{metric}"
    return Measured(
        table=name,
        metric=metric,
        proposed=record.metrics[figure],
        by_hand=trained(hand, (), folder / "by_hand.log").metrics[figure],
        constant=record.baselines.constant[figure],
        is_champion=_is_champion(record),
        seconds=seconds,
    )


def _beside(proposal: Path, by_hand: dict[str, Any], folder: Path) -> Path:
    """Writes the declaration by hand with the rows and the split of the proposal."""
    folder.mkdir()
    document = yaml.safe_load(proposal.read_text()) | by_hand
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder / "pipeline.yaml"


def _is_champion(record: RunRecord) -> bool:
    return record.gate is not None and record.gate.passed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The defaults of `braid init --from`.")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the CSV files")
    parser.add_argument("--tables", type=lambda names: names.split(","))
    options = parser.parse_args()
    known = sorted(path.stem for path in _BY_HAND.glob("*.yaml"))
    with tempfile.TemporaryDirectory(prefix="raw-tables-") as kept:
        sys.exit(main(options.data, options.tables or known, Path(kept)))
