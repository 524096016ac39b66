"""Braid's own side of the benchmark of quality: `braid run` and `braid predict` as processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.commands.exit_codes import EXIT_CODES
from flows.records.record import RECORD_FILE, RunRecord, read_record
from tests.benchmarks.quality_tables import SplitTable
from tests.support.command import start

_LAST_LINES = 15


class RunFailed(Exception):  # noqa: N818 - it names what happened
    """A command that did not do its work; the message ends with the last lines of its output."""


def trained(declaration: Path, overrides: Sequence[str], log: Path) -> RunRecord:
    """Runs the pipeline and returns its record.

    A model that the gate refuses for being worse than an earlier seed's is registered all the same.

    Raises:
        RunFailed: The run ended without a model.
    """
    options = [part for override in overrides for part in ("--set", override)]
    carry_out(["run", str(declaration), *options], log, EXIT_CODES["refused"])
    lines = log.read_text().splitlines()
    folder = next((Path(line).parent for line in lines if line.endswith(RECORD_FILE)), None)
    record = folder and read_record(folder)
    if not record or record.model is None:
        raise RunFailed(f"no run record with a model; {_tail(log)}")
    return record


def predicted(declaration: Path, split: SplitTable, version: str, log: Path) -> np.ndarray:
    """Returns a registered model's predictions of the test rows, in their order, [rows].

    The model gets no more of a test row than its key and its features.

    Raises:
        RunFailed: A row has no prediction.
    """
    table = split.table
    rows, output = log.with_suffix(".input.parquet"), log.with_suffix(".parquet")
    pq.write_table(split.test.select([table.key, *table.columns(split.test.schema)]), rows)
    command = ["predict", str(declaration), "--input", str(rows), "--output", str(output)]
    # The other side answers for every row, too.
    carry_out([*command, "--version", version, "--keep-invalid"], log)
    scored = pq.read_table(output)
    order = pc.index_in(split.test[table.key].combine_chunks(), scored[table.key])
    predictions = scored[table.target].take(order)
    if predictions.null_count:
        raise RunFailed(f"{predictions.null_count} test rows have no prediction; see {output}")
    values = predictions.to_numpy()
    return values.astype(str if table.task == "multiclass" else np.float64)


def train_seconds(record: RunRecord) -> float:
    """Returns the wall seconds of a run's `train` step, the start of its process included."""
    step = record.step("train")
    return step.seconds or 0.0 if step else 0.0


def carry_out(arguments: list[str], log: Path, *accepted: int) -> None:
    """Runs `braid ARGUMENTS`; what it prints is in the log.

    Raises:
        RunFailed: It ended with an exit code that is neither 0 nor accepted.
    """
    status = start(arguments, log).wait()
    if status not in (0, *accepted):
        raise RunFailed(f"`braid {arguments[0]}` ended with status {status}; {_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join([f"{log}:", *log.read_text(errors="replace").splitlines()[-_LAST_LINES:]])
