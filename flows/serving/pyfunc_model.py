"""An export as MLflow's `python_function`, which its own tools load and serve.

MLflow finds `_load_pyfunc` by this module's name, which stands in `MLmodel`; a row is judged and
scored as by `braid predict`.
"""

from __future__ import annotations

import base64
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.prediction.prediction_file import prediction_table
from flows.serving.rows import BASE64_KEY
from flows.serving.served import Served, load_served
from transforms.contract.declaration.rules.checks import ERROR_COLUMN

if TYPE_CHECKING:
    import pandas as pd

_ROWS_AT_A_TIME = 512


class PyfuncModel:
    """A model that takes and gives tables of pandas.

    Args:
        served: The loaded export.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._pictures = {n for n, raw in served.reader.raws.items() if raw.dtype == "bytes"}
        self._names = [*(output.name for output in served.outputs), ERROR_COLUMN]

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Returns the predictions of rows, and in the column "error" why a row has none.

        Args:
            model_input: A column for each of the source's, of which any may be left out; pictures
                are bytes or base64. None, NaN and NaT are missing.
        """
        import pandas as pd

        parts = [
            self._part(model_input.iloc[first : first + _ROWS_AT_A_TIME])
            for first in range(0, max(len(model_input), 1), _ROWS_AT_A_TIME)
        ]
        columns = {n: [value for part in parts for value in part[n]] for n in self._names}
        # As an object None stays None, where pandas would have NaN, which no JSON has.
        series = {n: pd.Series(v, dtype=object if None in v else None) for n, v in columns.items()}
        return pd.DataFrame(series).set_index(model_input.index)

    def _part(self, table: pd.DataFrame) -> dict[str, list[Any]]:
        known = [name for name in table.columns if name in self._served.reader.raws]
        instances: list[dict[str, Any]] = [{} for _ in range(len(table))]
        for name in known:
            for instance, value in zip(instances, table[name], strict=True):
                instance[name] = self._as_json(name, value)
        rows = self._served.reader.of_instances(instances)
        (predictions,) = self._served.score([rows])
        keys = np.full(len(table), b"", object)
        answers: dict[str, list[Any]] = prediction_table((), keys, predictions).to_pydict()
        nothing = [None] * len(table)
        return {name: answers.get(name, nothing) for name in self._names}

    def _as_json(self, name: str, value: Any) -> Any:
        plain = _plain(value)
        if name in self._pictures and isinstance(plain, str):
            return {BASE64_KEY: "".join(plain.split())}  # MLflow's base64 has line breaks
        return plain


def _plain(value: Any) -> Any:
    """Returns a cell of a table as JSON has it; bytes are an object with their base64."""
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    # NaN and NaT are not equal to themselves, and pandas' NA is not even that.
    if value is None or type(value).__name__ == "NAType" or value != value:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return {BASE64_KEY: base64.b64encode(value).decode()} if len(value) else None
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _load_pyfunc(path: str) -> PyfuncModel:
    folder = Path(path)
    return PyfuncModel(load_served(folder.name, "", folder, _ROWS_AT_A_TIME))
