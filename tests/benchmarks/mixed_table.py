"""The table of the ETL benchmarks: 2 categorical, 2 numeric, a 20-word text, a 96x96 JPEG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROW_GROUP = 5_000
_PICTURES = 500  # distinct ones; decoding does not get quicker by having seen a picture before
_WORDS = 5_000


def write_mixed_table(path: Path, rows: int, seed: int = 0) -> None:
    """Writes the table as one Parquet file, row group by row group."""
    rng = np.random.default_rng(seed)
    pictures = [_picture(rng, label) for label in (0, 1) for _ in range(_PICTURES)]
    writer = None
    for start in range(0, rows, ROW_GROUP):
        table = _rows(rng, pictures, start, min(ROW_GROUP, rows - start))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=ROW_GROUP)
    if writer is not None:
        writer.close()


def _rows(rng: np.random.Generator, pictures: list[bytes], start: int, count: int) -> pa.Table:
    label = rng.integers(0, 2, count)
    words = rng.zipf(1.3, (count, 20)) % _WORDS
    return pa.table(
        {
            "id": [f"row-{start + i}" for i in range(count)],
            "country": [f"country-{c}" for c in rng.zipf(1.5, count) % 250],
            "city": [f"city-{c}" for c in rng.integers(0, 1_000, count)],
            "price": rng.normal(100, 20, count) + 5 * label,
            "area": rng.lognormal(3, 1, count),
            "review": [" ".join(f"word{w}" for w in row) for row in words],
            "photo": pa.array(
                [pictures[_PICTURES * y + rng.integers(_PICTURES)] for y in label], pa.binary()
            ),
            "sold": label.astype(np.int64),
        }
    )


def _picture(rng: np.random.Generator, label: int) -> bytes:
    small = rng.integers(0, 200, (12, 12, 3), np.uint8)
    small[..., label] += 50
    buffer = io.BytesIO()
    picture = Image.fromarray(small).resize((96, 96), Image.Resampling.BILINEAR)
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


PIPELINE = """
name: mixed
source: {{path: {path}, key: id}}
split: {{train: 98, validation: 1, test: 1}}
features:
  country: {{kind: categorical, vocabulary_size: 250}}
  city: {{kind: categorical, vocabulary_size: 1000}}
  price: {{kind: numeric}}
  area: {{kind: numeric}}
  review: {{kind: text, vocabulary_size: 5000, length: 20}}
  photo: {{kind: image, height: 96, width: 96}}
targets:
  sold: {{kind: binary}}
"""
