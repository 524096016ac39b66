"""The check that a missing value of a user's own kind leaves the row's other features a say.

An encoder that gives NaN for it spoils every sum that it is a part of, and an activation such as a
ReLU may turn these into zeros: the answer is then a finite number, and the same for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import raw_batches
from trainer.export.export import parse_examples
from trainer.export.serving import Scorer
from transforms.contract.columns.features import RawColumn
from transforms.contract.columns.kinds import is_user_kind
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import TransformManifest

_MOST_ROWS = 256

Arrays = Mapping[str, np.ndarray]


def check_dependence(manifest: TransformManifest, export: Scorer, raw: Sequence[ShardFile]) -> None:
    """Lets the export answer for the first test rows, with each of the users' features missing.

    Raises:
        BraidError: As of `refuse_hidden`.
    """
    own = {
        stored.name: manifest.raw_features[stored.name]
        for stored in manifest.inputs()
        if stored.role == "feature" and is_user_kind(stored.kind)
    }
    if not own or count_rows(raw) == 0:
        return
    records = next(iter(raw_batches(raw, manifest.batch_rows(_MOST_ROWS))))
    parsed = parse_examples(records, manifest.raw_inputs())
    columns = {name: tensor.numpy() for name, tensor in parsed.items()}
    rows = len(next(iter(columns.values())))
    # The same noise in every row, as answers are compared.
    noise = {
        stored.name: np.zeros((rows, *stored.shape), np.float32) for stored in manifest.noise()
    }
    refuse_hidden(export.score, columns | noise, own)


def refuse_hidden(
    score: Callable[[Arrays], Mapping[str, Any]], columns: Arrays, own: Mapping[str, RawColumn]
) -> None:
    """Refuses a model whose answer depends on other features only as long as some feature is there.

    Args:
        score: The model.
        columns: Raw rows, as the graph takes them.
        own: The input of every feature to look at.

    Raises:
        BraidError: Without a value of the feature the answers are no numbers, or all the same, and
            with one value of it in all rows they are not.
    """
    for name, raw in own.items():
        values = columns[raw.name]
        present = np.flatnonzero(~_is_missing(values))
        if len(present) == 0:
            continue
        same = np.broadcast_to(values[present[0]], values.shape)
        blank = np.full(values.shape, np.nan if raw.dtype == "float32" else b"", values.dtype)
        hidden = score({**columns, raw.name: blank})
        is_finite = _are_finite(hidden)
        if is_finite and (_differ(hidden) or not _differ(score({**columns, raw.name: same}))):
            continue
        raise BraidError(
            f"features.{name}",
            expected="answers that depend on the other features where its value is missing",
            received=f"the same answer for {len(values)} different rows"
            if is_finite
            else "an answer that is no finite number",
            action="Let the kind's `encoder.py` give finite numbers for every stored value.",
        )


def _is_missing(values: np.ndarray) -> np.ndarray:
    """Returns the rows without any value, bool [rows]."""
    missing = values == b"" if values.dtype == object else np.isnan(values)
    return np.asarray(missing.reshape(len(values), -1).all(axis=1))


def _differ(answers: Mapping[str, Any]) -> bool:
    return any((values != values[:1]).any() for values in answers.values())


def _are_finite(answers: Mapping[str, Any]) -> bool:
    return all(np.isfinite(v).all() for v in answers.values() if v.dtype.kind == "f")
