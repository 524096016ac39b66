"""The floor of the ETL: read, decode, resize and write raw records, with nothing checked.

    python -m tests.benchmarks.bare_loop TABLE.parquet OUTPUT_FOLDER

tf.data decodes on two threads; no statistics, no other column, no rejects, no resume.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from tests.benchmarks.measuring import tell_cost

_THREADS = 2
_BATCH_ROWS = 1_000
_SIZE = (96, 96)


def bare_loop(table: Path, output: Path) -> int:
    """Writes the pixels of a table's pictures, and returns how many it wrote."""

    def contents() -> Iterator[Any]:
        for batch in pq.ParquetFile(table).iter_batches(_BATCH_ROWS, columns=["photo"]):
            yield np.asarray(batch.column(0))

    def pixels(picture: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(picture, channels=3)
        resized = tf.saturate_cast(tf.round(tf.image.resize(image, _SIZE)), tf.uint8)
        return tf.io.serialize_tensor(resized)

    batches = tf.data.Dataset.from_generator(
        contents, output_signature=tf.TensorSpec([None], tf.string)
    )
    pictures = batches.flat_map(tf.data.Dataset.from_tensor_slices)
    written = 0
    with tf.io.TFRecordWriter(str(output / "pixels.tfrecord")) as writer:
        for batch in pictures.map(pixels, _THREADS).batch(_BATCH_ROWS).prefetch(1):
            for record in batch.numpy():
                writer.write(record)
                written += 1
    return written


if __name__ == "__main__":
    tell_cost(lambda: bare_loop(Path(sys.argv[1]), Path(sys.argv[2])))
