"""The quality of models that are trained with defaults only, beside simple models, on real tables.

    python -m tests.benchmarks.quality --data DIR               13 tables, 3 seeds each
    python -m tests.benchmarks.quality --data DIR --tables german,wine --seeds 1
    python -m tests.benchmarks.quality --data DIR --subsets     mixed tables with parts of them
    python -m tests.benchmarks.quality --data DIR --tune 10     10 minutes of trials on each table
    python -m tests.benchmarks.quality --speed                  33,000 generated rows

Every run goes through `braid run` and `braid predict`. A table that is measured again replaces its
line in QUALITY.md, and one that fails loses it; the others stay as they were measured. The exit
code is 1 if a run failed, and says nothing about the verdict.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.quality_baselines import baselines, constant
from tests.benchmarks.quality_metrics import figures
from tests.benchmarks.quality_report import (
    PAGE,
    Outcome,
    SeedResult,
    discard,
    figures_report,
    kept_outcomes,
    subsets_report,
    tables_report,
    write_page,
)
from tests.benchmarks.quality_runs import RunFailed, predicted, train_seconds, trained
from tests.benchmarks.quality_speed import ROWS, measure
from tests.benchmarks.quality_tables import (
    SUBSETS,
    TABLES,
    BenchmarkTable,
    SplitTable,
    read_table,
)
from tests.benchmarks.quality_tuning import tuned, tuning_report

_FAILURES = (RunFailed, OSError, ValueError)  # of a command, of a file, of what is in it


def main(arguments: argparse.Namespace) -> int:
    """Returns 1 if a run failed; the others are done and written all the same."""
    commit = _commit()
    tuned_tables = (arguments.tables or list(TABLES)) if arguments.tune else []
    trained_tables = [] if arguments.tune else arguments.tables
    with ExitStack() as stack:
        if arguments.work is None:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quality-")))
        else:
            arguments.work.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix="quality-", dir=arguments.work))
        with ThreadPoolExecutor(arguments.workers) as pool:
            succeeded = list(
                pool.map(
                    lambda name: _table(
                        TABLES[name], arguments.data, arguments.seeds, work, commit
                    ),
                    trained_tables,
                )
            )
        succeeded += [
            _subsets(name, arguments.data, arguments.seeds, work) for name in arguments.subsets
        ]
        if arguments.tune:
            succeeded.append(_tuning(tuned_tables, arguments.data, arguments.tune, work))
        if arguments.speed:
            succeeded.append(_speed(arguments.speed, work))
    if trained_tables:
        outcomes = kept_outcomes()
        figures_report(outcomes).keep("quality_figures")
        tables_report(outcomes).keep("quality")
    write_page()
    _tell(str(PAGE))
    return 0 if all(succeeded) else 1


def _table(
    table: BenchmarkTable, data: Path, seeds: Sequence[int], work: Path, commit: str
) -> bool:
    """Measures a table and keeps its outcome; returns whether that succeeded."""
    try:
        split = read_table(table, data)
        truth = split.truth(split.test)
        simple = baselines(split)
        outcome = Outcome(
            table=table.name,
            rows=split.rows,
            baselines={name: figures(table.task, truth, p) for name, p in simple.items()},
            constant=figures(table.task, truth, constant(split)),
            seeds=_trainings(split, data, seeds, work / table.name, {table.name: []})[table.name],
            commit=commit,
        )
    except _FAILURES as error:
        discard(table.name)
        return _failed(table.name, error)
    outcome.keep()
    return True


def _subsets(name: str, data: Path, seeds: Sequence[int], work: Path) -> bool:
    """Measures a mixed table with parts of its features; returns whether that succeeded."""
    overrides = {
        part: [f"model.features=[{', '.join(columns)}]"] for part, columns in SUBSETS[name].items()
    }
    try:
        split = read_table(TABLES[name], data)
        folder = work / f"{name}-subsets"
        measured = _trainings(split, data, seeds, folder, overrides | {"all": []})
    except _FAILURES as error:
        return _failed(f"the subsets of {name}", error)
    subsets_report(name, measured).keep(f"quality_subsets_{name}")
    return True


def _tuning(names: Sequence[str], data: Path, minutes: float, work: Path) -> bool:
    """Tunes tables; returns whether that succeeded for all."""
    results, failed = {}, False
    for name in names:
        folder = work / f"{name}-tuned"
        try:
            results[name] = tuned(read_table(TABLES[name], data), data, folder, minutes)
        except _FAILURES as error:
            _failed(f"the tuning of {name}", error)
            failed = True
            continue
        result = results[name]
        _tell(f"{name}: {result.default_loss:.4f}, tuned {result.best_loss:.4f}; {result.best}")
        tuning_report(results, minutes).keep("quality_tuning")
    return not failed


def _speed(rows: int, work: Path) -> bool:
    """Measures the speed of a training; returns whether that succeeded."""
    folder = work / "speed"
    folder.mkdir()
    try:
        measure(rows, folder).keep("quality_speed")
    except _FAILURES as error:
        return _failed("speed", error)
    return True


def _trainings(
    split: SplitTable,
    data: Path,
    seeds: Sequence[int],
    folder: Path,
    variants: dict[str, list[str]],
) -> dict[str, list[SeedResult]]:
    """Trains every variant of a declaration with every seed, one after the other, on one data set.

    Args:
        split: The table.
        data: The folder of the data.
        seeds: Of the trainings.
        folder: The declaration, its workspace and what the commands print; it is made.
        variants: What each of them changes in the declaration.
    """
    folder.mkdir()
    declaration = folder / "pipeline.yaml"
    declaration.write_text(split.table.declaration(data, split.test.schema))
    truth = split.truth(split.test)
    results: dict[str, list[SeedResult]] = {}
    for name, overrides in variants.items():
        results[name] = []
        for seed in seeds:
            log = folder / f"{name.replace(' ', '-')}-{seed}"
            record = trained(
                declaration, [*overrides, f"training.seed={seed}"], log.with_suffix(".run.log")
            )
            assert record.model is not None
            prediction = predicted(
                declaration, split, record.model.version, log.with_suffix(".predict.log")
            )
            result = SeedResult(
                seed=seed,
                figures=figures(split.table.task, truth, prediction),
                train_seconds=train_seconds(record),
            )
            results[name].append(result)
            told = ", ".join(f"{metric} {value:.4f}" for metric, value in result.figures.items())
            _tell(f"{name}, seed {seed}: {told}; train step {result.train_seconds:.1f} s")
    return results


def _commit() -> str:
    """Returns the commit that is checked out, with `-dirty` if files of it were changed."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _failed(name: str, error: Exception) -> bool:
    sys.stderr.write(f"{name} failed: {error}\n")
    return False


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the folder with bench/ and emoji/")
    parser.add_argument(
        "--tables",
        type=lambda text: text.split(","),
        help="some of " + ",".join(TABLES) + "; by default all, or none with the flags below",
    )
    parser.add_argument(
        "--subsets",
        type=lambda text: text.split(","),
        nargs="?",
        const=list(SUBSETS),
        default=[],
        metavar="TABLES",
        help="tables by parts of their features; by default " + ",".join(SUBSETS),
    )
    parser.add_argument("--tune", type=float, metavar="MINUTES", help="tune the tables instead")
    parser.add_argument(
        "--speed", type=int, nargs="?", const=ROWS, metavar="ROWS", help="a training's seconds"
    )
    parser.add_argument(
        "--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1, 2, 3]
    )
    parser.add_argument("--workers", type=int, default=1, help="tables at the same time")
    parser.add_argument(
        "--work",
        type=Path,
        help="where a folder with all runs is made and left; else a passing one",
    )
    arguments = parser.parse_args()
    if arguments.tables is None:
        others = arguments.subsets or arguments.tune or arguments.speed
        arguments.tables = [] if others else list(TABLES)
    for option, known in (("tables", TABLES), ("subsets", SUBSETS)):
        if unknown := set(getattr(arguments, option)) - set(known):
            parser.error(f"--{option}: {', '.join(sorted(unknown))}: no such table")
    needs_data = arguments.tables or arguments.subsets or arguments.tune
    if needs_data and not (arguments.data and arguments.data.is_dir()):
        parser.error(f"--data: the folder with bench/ and emoji/ is needed, not {arguments.data}")
    return arguments


if __name__ == "__main__":
    sys.exit(main(_arguments()))
