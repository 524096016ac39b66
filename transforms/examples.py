"""Columns to serialized `tf.Example` records."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder


class ExampleEncoder:
    """Serializes batches of columns; every value of a row is one list of the record."""

    def __init__(self) -> None:
        self._encoder = RecordBatchToExamplesEncoder()

    def encode(self, columns: Mapping[str, np.ndarray]) -> list[bytes]:
        """Returns one record a row.

        Args:
            columns: int64, float32 or bytes objects, [rows] or [rows, ...].
        """
        arrays = {name: _lists(values) for name, values in columns.items()}
        return self._encoder.encode(pa.RecordBatch.from_pydict(arrays))  # type: ignore[no-any-return]


def _lists(values: np.ndarray) -> pa.LargeListArray:
    rows = values.shape[0]
    width = int(np.prod(values.shape[1:], dtype=np.int64))
    type_ = pa.large_binary() if values.dtype == object else pa.from_numpy_dtype(values.dtype)
    offsets = np.arange(0, rows * width + 1, max(width, 1), dtype=np.int64)
    return pa.LargeListArray.from_arrays(offsets, pa.array(values.ravel(), type_))
