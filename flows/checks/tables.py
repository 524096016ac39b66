"""Readers of the tables beside the shards, which raise if one is not as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as paipc
import pyarrow.parquet as pq

from transforms.contract.workspace.documents import reading


def read_statistics(path: Path) -> None:
    """Reads all of a partition's statistics.

    Raises:
        DamagedFile: The file is cut, or of another content.
    """
    with reading(path), pa.memory_map(str(path)) as file:
        table = paipc.open_file(file).read_all()
        table.validate(full=True)
        for details in table.schema.metadata.values():
            json.loads(details)


def rows_of(path: Path) -> int:
    """Returns the rows of a Parquet file, all of which are read.

    Raises:
        DamagedFile: The file is cut, or of another content.
    """
    with reading(path):
        return sum(batch.num_rows for batch in pq.ParquetFile(path).iter_batches())
