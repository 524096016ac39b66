"""The data set of a workspace, row by row, to be compared with another's."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import tensorflow as tf

# Of a partition: how often it has each record of each split, and each rejected row.
Rows = Counter[tuple[str, ...] | tuple[str, str, bytes]]


def data_set(workspace: Path) -> dict[str, Rows]:
    """Returns the rows of every partition that is committed."""
    by_name: dict[str, Rows] = {}
    for path in workspace.glob("shards/*/*/manifest.json"):
        manifest = json.loads(path.read_text())
        rows: Rows = Counter()
        for shard in manifest["shards"]:
            records = _records(path.parent / shard["file"])
            assert len(records) == shard["rows"]
            rows.update((shard["split"], shard["content"], record) for record in records)
        rejects = workspace / "rejects" / path.parent.relative_to(workspace / "shards")
        for file in rejects.glob("*.parquet"):
            for row in pq.read_table(file).to_pylist():
                rows["rejected", row["key"], row["column"], row["reason"]] += 1
        assert manifest["partition"] not in by_name, "a partition's shards are there once"
        by_name[manifest["partition"]] = rows
    return by_name


def _records(path: Path) -> list[bytes]:
    """Returns a file's records, each as the same bytes in whatever order its fields stand."""
    raw = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [tf.train.Example.FromString(r).SerializeToString(deterministic=True) for r in raw]
