"""The gain of `braid tune` beyond the defaults, by the loss on the validation rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from flows.records.record import read_tunings
from tests.benchmarks.quality_runs import carry_out
from tests.benchmarks.quality_tables import SplitTable
from tests.benchmarks.report import Report
from transforms.contract.declaration.parsing import load
from transforms.contract.steps.tuning import changes_in_words, ranked, read_trials
from transforms.contract.workspace.layout import Workspace

_ENOUGH_BETTER = 8  # of the 13 tables
_MOST_TRIALS = 1_000  # the minutes end them


class TuningResult(BaseModel):
    """The result of one table's trials.

    Attributes:
        default_loss: Of the declaration as it is, on the validation rows.
        best_loss: Of the best trial.
        best: What that trial changes, in words.
        trials: How many there were.
        pruned: Those of them that were stopped early.
        seconds: All trials together.
        transformed: Rows that the command transformed.
    """

    default_loss: float
    best_loss: float
    best: str
    trials: int
    pruned: int
    seconds: float
    transformed: int


def tuned(split: SplitTable, data: Path, folder: Path, minutes: float) -> TuningResult:
    """Tunes one table on shards that are there already.

    Args:
        split: The table.
        data: The folder of the data.
        folder: The declaration, its workspace and what the commands print; it is made.
        minutes: For the trials that follow the declaration's own.

    Raises:
        RunFailed: A command did not do its work.
    """
    folder.mkdir()
    declaration, log = folder / "pipeline.yaml", folder / "tune.log"
    declaration.write_text(split.table.declaration(data, split.test.schema))
    # The first command makes the shards, and runs the declaration as it is.
    carry_out(["tune", str(declaration), "--no-run", "--trials", "1"], folder / "first.log")
    options = ["--no-run", "--trials", str(_MOST_TRIALS), "--minutes", str(minutes)]
    carry_out(["tune", str(declaration), *options], log)
    transformed = re.search(r"([\d,]+) rows transformed", log.read_text())
    pipeline = load(declaration)
    ((tuning, _),) = read_tunings(Workspace(folder / "workspace"), pipeline.name)
    trials = read_trials(tuning / "trials")
    best = ranked(trials)[0]
    default = next(trial for trial in trials if not trial.changes)
    return TuningResult(
        default_loss=default.loss or 0.0,
        best_loss=best.loss or 0.0,
        best=changes_in_words(best.changes),
        trials=len(trials),
        pruned=sum(trial.status == "pruned" for trial in trials),
        seconds=sum(trial.seconds for trial in trials),
        transformed=int(transformed[1].replace(",", "")) if transformed else 0,
    )


def tuning_report(results: Mapping[str, TuningResult], minutes: float) -> Report:
    """Returns a line a table."""
    better = [name for name, result in results.items() if result.best_loss < result.default_loss]
    lines = [
        (
            name,
            f"{result.default_loss:.4f}",
            f"{result.best_loss:.4f}",
            f"{1 - result.best_loss / result.default_loss:.1%}",
            f"{result.trials} ({result.pruned} stopped early)",
            f"{result.seconds:.0f}",
            str(result.transformed),
            result.best or "the defaults",
        )
        for name, result in results.items()
    ]
    return Report(
        title="What a tuning finds",
        command=f"python -m tests.benchmarks.quality --data folder --tune {minutes:g}",
        columns=("table", "defaults", "best", "less by", "trials", "s", "rows transformed", "keys"),
        lines=lines,
        sentences=[
            "Losses are those of one network on the validation rows, by which the trials were "
            "chosen, so that the best one's is lower than new rows' would be. Better than the "
            f"defaults on {len(better)} of {len(results)} tables (at least {_ENOUGH_BETTER} of "
            f"13) within {minutes:g} minutes each."
        ],
        details={name: result.model_dump() for name, result in results.items()},
    )
