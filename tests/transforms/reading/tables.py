"""Small tables in every format, and what a reader makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as paipc

from tests.transforms.conftest import write_rows
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.reading.batches import BatchReader, RawBatch
from transforms.source.scan import open_filesystem, scan
from transforms.source.units import plan_units

ROWS: dict[str, list[Any]] = {
    "id": ["a", "b", "c"],
    "zip": ["01234", "NA", None],
    "area": [1.5, None, 3.5],
    "sold": [True, False, True],
    "unused": [1, 2, 3],
}


def pipeline(path: Path, **declaration: Any) -> PipelineSpec:
    source = {"path": str(path), "key": "id"} | declaration.pop("source", {})
    features = {"zip": {"kind": "categorical"}, "area": {"kind": "numeric"}}
    document = {
        "name": "p",
        "source": source,
        "features": features,
        "targets": {"sold": {"kind": "binary"}},
    }
    return parse(document | declaration)


def read(declared: PipelineSpec, batch_rows: int = 100, at_least: int = 1) -> list[RawBatch]:
    filesystem, _ = open_filesystem(declared.source.path)
    reader = BatchReader(declared)
    return [
        batch
        for partition in scan(declared.source).partitions
        for unit in plan_units(
            partition, format_=declared.source.format, filesystem=filesystem, at_least=at_least
        )
        for batch in reader.read(unit, batch_rows)
    ]


def write(rows: dict[str, list[Any]], folder: Path, format_: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if format_ == "parquet":
        write_rows(rows, folder / "a.parquet")
    elif format_ == "arrow":
        table = pa.table(rows)
        with paipc.new_file(folder / "a.arrow", table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    elif format_ == "jsonl":
        lines = [
            json.dumps(dict(zip(rows, row, strict=True)))
            for row in zip(*rows.values(), strict=True)
        ]
        (folder / "a.jsonl").write_text("\n".join(lines))
    else:
        lines = [",".join(rows)]
        lines += [
            ",".join("" if v is None else str(v) for v in r)
            for r in zip(*rows.values(), strict=True)
        ]
        (folder / "a.csv").write_text("\n".join(lines) + "\n")
