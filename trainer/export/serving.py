"""Scoring with an export, with TensorFlow alone: no Keras and no code of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.shards import ShardFile, shard_files
from trainer.run_folder import DECLARATION_FILE, EXPORT_FOLDER
from transforms.contract.columns.features import RawColumn
from transforms.contract.columns.kinds import is_user_kind
from transforms.contract.columns.numbers import number_in
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.results import CheckResult
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.manifest import (
    UNUSABLE_SUFFIX,
    StoredFeature,
    TransformManifest,
)

_MOST_ROWS = 256  # at a time
# As for any function: where a device lacks an operation, the CPU has it.
_CONFIG = tf.compat.v1.ConfigProto(allow_soft_placement=True).SerializeToString()
_LONGEST_REFUSAL = 300  # characters of what TensorFlow says
_ANOTHER_VERSION = "Bring the export back from a copy, or use another version of the model."


class _Signature:
    """A signature, called without what TensorFlow makes of its arguments in Python.

    That takes a quarter of the time of a lone row.

    Args:
        signature: Of a loaded export.
    """

    def __init__(self, signature: Any) -> None:
        _, given = signature.structured_input_signature
        by_tensor = {spec.name: argument for argument, spec in given.items()}
        self._arguments = [by_tensor[t.op.name] for t in signature.inputs[: len(given)]]
        self._captured = list(signature.captured_inputs)
        self._outputs = sorted(signature.structured_outputs)
        self._dtypes = [tensor.dtype for tensor in signature.outputs]
        self._signature = signature  # whose function is known by its name as long as it is there

    def __call__(self, given: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
        """Returns the outputs by name.

        Args:
            given: An array for every argument, of its dtype; of bytes as objects.
        """
        outputs = tf.raw_ops.StatefulPartitionedCall(
            args=[given[argument] for argument in self._arguments] + self._captured,
            Tout=self._dtypes,
            f=self._signature.name,
            config_proto=_CONFIG,
        )
        return dict(zip(self._outputs, outputs, strict=True))


@dataclass(frozen=True)
class Scorer:
    """A loaded export.

    Attributes:
        pipeline: The declaration that the model was trained with.
        manifest: Its transform: `manifest.serving_inputs()` is what `score` takes.
    """

    pipeline: PipelineSpec
    manifest: TransformManifest
    _arguments: dict[str, str]
    _model: Any

    @cached_property
    def _raws(self) -> tuple[RawColumn, ...]:
        return self.manifest.serving_inputs()

    @cached_property
    def _serving(self) -> _Signature:
        return _Signature(self._model.signatures["serving_default"])

    @cached_property
    def _batch_rows(self) -> int:
        return self.manifest.batch_rows(_MOST_ROWS)

    @cached_property
    def _of_own_kinds(self) -> tuple[StoredFeature, ...]:
        inputs = self.manifest.inputs()
        return tuple(s for s in inputs if s.role == "feature" and is_user_kind(s.kind))

    def score(self, columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns the predictions for rows of raw columns.

        Args:
            columns: Arrays by column name, [rows] or [rows, length]. Strings and bytes as
                objects, numpy strings or bytes; dates and times also as Python's or numpy's. None,
                the empty string, NaN and NaT are missing, and so is a whole column that is not
                there. Noise goes by its feature's name, and is drawn where it is missing. Of lists
                of labels and of variable series what is beyond the declared length is cut; other
                lists have as many entries as declared.

        Returns:
            Per target an array by its name: a binary target's probability, float32; a class's
            label, str, with "<target>__probabilities", float32 [rows, classes]; a number in the
            column's unit, float32; a picture, float32 [rows, height, width, channels] from 0 to 1,
            or of a class mask the classes, uint8, with their probabilities like those of a label.

        Raises:
            BraidError: Columns differ in their number of rows, or a list has the wrong shape.
        """
        arrays = self._inputs(columns)
        rows = len(next(iter(arrays.values())))
        starts = range(0, max(rows, 1), self._batch_rows)
        parts = [self._batch(arrays, start) for start in starts]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def unusable(self, columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns which rows have a value that a user's own kind cannot encode, bool [rows].

        Args:
            columns: As those of `score`, which takes such a value for a missing one.

        Returns:
            The rows by the name of the feature; nothing where all kinds are Braid's own.
        """
        own = self._of_own_kinds
        if not own:
            return {}
        inputs = {self.manifest.raw_features[stored.name].name for stored in own}
        arrays = {name: v for name, v in self._inputs(columns).items() if name in inputs}
        raws = (*self.manifest.raw_inputs(), *self.manifest.unused)
        rows = len(next(iter(arrays.values())))
        blank = {raw.name: _as_input(raw, None, rows) for raw in raws}
        outputs = self._model.graph.transform_features(
            {name: tf.constant(arrays.get(name, values)) for name, values in blank.items()}
        )
        names = [s.name for s in own if s.name + UNUSABLE_SUFFIX in outputs]
        return {name: outputs[name + UNUSABLE_SUFFIX].numpy() > 0 for name in names}

    def _inputs(self, columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns every input of the model as the graph takes it; one that is not given is missing.

        Raises:
            BraidError: As of `score`.
        """
        raws = self._raws
        given = {raw.name: columns[name] for raw in raws for name in _names_in(raw, columns)}
        lengths = {name: len(values) for name, values in given.items()}
        if len(set(lengths.values())) != 1:
            raise BraidError(
                "the columns to score",
                expected=f"some of {', '.join(r.name for r in raws)}, each with as many rows",
                received=str(lengths or "none of them"),
                action="Give arrays of one length.",
            )
        rows = next(iter(lengths.values()))
        return {raw.name: _as_input(raw, given.get(raw.name), rows) for raw in raws}

    def score_examples(self, records: Any) -> dict[str, np.ndarray]:
        """Returns the predictions for serialized `tf.Example` of raw columns, string [rows]."""
        served = self._model.signatures["serving_examples"](examples=records)
        return {name: _as_output(tensor) for name, tensor in served.items()}

    def _batch(self, arrays: Mapping[str, np.ndarray], start: int) -> dict[str, np.ndarray]:
        stop = start + self._batch_rows
        batch = {self._arguments[column]: values[start:stop] for column, values in arrays.items()}
        return {name: _as_output(tensor) for name, tensor in self._serving(batch).items()}


def load(export_folder: str | Path) -> Scorer:
    """Loads an export.

    Raises:
        BraidError: The folder holds no export.
    """
    folder = Path(export_folder)
    declaration = folder / DECLARATION_FILE
    if not declaration.exists():
        raise BraidError(
            str(folder),
            expected="the folder of an export",
            received=f"no {DECLARATION_FILE} in it",
            action="Run the pipeline, or give the folder of a registered version.",
        )
    with reading(declaration, action=_ANOTHER_VERSION):
        document = json.loads(declaration.read_bytes())
        pipeline = PipelineSpec.model_validate_json(json.dumps(document["pipeline"]))
        manifest = TransformManifest.model_validate_json(json.dumps(document["transform"]))
        arguments = document["arguments"]
    also = (tf.errors.OpError,)
    with reading(folder / "saved_model.pb", action=_ANOTHER_VERSION, also=also):
        return Scorer(pipeline, manifest, arguments, tf.saved_model.load(str(folder)))


def try_out(scorer: Scorer, rows: int = 1) -> dict[str, np.ndarray]:
    """Returns the predictions for rows without any value; TensorFlow sets itself up with the first.

    Raises:
        BraidError: It does not answer, or a prediction is not a finite number.
    """
    nothing = {raw.name: _as_input(raw, None, rows) for raw in scorer.manifest.raw_inputs()}
    try:
        predictions = scorer.score(nothing)
    except tf.errors.OpError as error:
        raise BraidError(
            "the export",
            expected="an answer for a row without any value",
            received=" ".join(error.message.split())[:_LONGEST_REFUSAL],
            action=_ANOTHER_VERSION,
        ) from None
    _refuse_non_finite(predictions, "a row without any value")
    return predictions


def check(job: TrainJob) -> CheckResult:
    """Loads the job's export and lets it answer for a test row and for a row without any value.

    Raises:
        BraidError: A prediction is not a finite number.
    """
    scorer = load(Path(job.run_folder) / EXPORT_FOLDER)
    try_out(scorer)
    files = [file for file in shard_files(job, "test", "raw") if file.shard.rows]
    if files:
        records = tf.stack(list(_first_records(files[0])))
        _refuse_non_finite(scorer.score_examples(records), f"the first row of {files[0].path}")
    return CheckResult()


def _first_records(file: ShardFile) -> Any:
    return tf.data.TFRecordDataset(str(file.fetch())).take(1)


def _refuse_non_finite(predictions: Mapping[str, np.ndarray], what: str) -> None:
    for name, values in predictions.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise BraidError(
                f"the export's '{name}' for {what}",
                expected="finite numbers",
                received=str(values[~np.isfinite(values)][0]),
                action="Look at the transform of its features, and train with a lower "
                "training.learning_rate.",
            )


def _names_in(raw: RawColumn, columns: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns by which name an input is given, if it is: its own, or the one of its column.

    They differ where a column is read in several ways. What was read for a model of some of the
    features goes by the column's name if the feature that gave the input its name is not one of
    them.
    """
    names = (raw.name, *raw.columns) if len(raw.columns) == 1 else (raw.name,)
    return tuple(name for name in names if name in columns)[:1]


def _as_input(raw: RawColumn, values: Any, rows: int) -> np.ndarray:
    """Returns a column as the graph takes it: bytes with b"" or float32 with NaN as missing."""
    is_number = raw.dtype == "float32"
    blank, dtype = (np.nan, np.float32) if is_number else (b"", object)
    filled = np.full((rows, *raw.shape), blank, dtype)
    if values is None:
        return filled
    if not raw.shape:
        filled[:] = _as_numbers(raw, values) if is_number else list(map(_as_bytes, values))
        return filled
    for row, value in enumerate(values):
        if value is not None and len(value):
            entries = _entries(raw, value)
            filled[row, : len(entries)] = entries
    return filled


def _entries(raw: RawColumn, value: Any) -> np.ndarray:
    """Returns a row's list. A padded one is cut as in the shards, where no missing text counts."""
    is_number = raw.dtype == "float32"
    entries = _as_numbers(raw, value) if is_number else np.asarray(value, object)
    if entries.ndim == 1 and raw.shape[1:] == (1,):  # a series of one channel
        entries = entries[:, None]
    shape = ("any" if raw.padded else raw.shape[0], *raw.shape[1:])
    if entries.shape[1:] != raw.shape[1:] or shape[0] not in ("any", len(entries)):
        raise BraidError(
            f"column {raw.name}",
            expected=f"[{', '.join(map(str, shape))}] entries in a row",
            received=str(list(entries.shape)),
            action="Give as many entries in a row as the declaration says.",
        )
    if not is_number:
        entries = np.asarray([_as_bytes(entry) for entry in entries], object)
        if raw.padded:
            entries = entries[entries != b""]
    return entries[: raw.shape[0]]


def _as_numbers(raw: RawColumn, values: Any) -> np.ndarray:
    """Returns numbers as float32; a text spells one here as it does in a table."""
    try:
        array = np.asarray(values)
    except UnicodeDecodeError:  # of bytes beside texts, which NumPy makes one type of
        array = np.asarray(values, object)
    if array.dtype.kind in "OSU":
        numbers = [_as_number(raw, value) for value in array.ravel()]
        array = np.asarray(numbers, np.float64).reshape(array.shape)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and so missing
        return array.astype(np.float32)


def _as_number(raw: RawColumn, value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if not isinstance(value, str):
        return value
    try:
        return number_in(value)
    except ValueError:
        raise BraidError(
            f"column {raw.name}",
            expected="numbers, or texts that spell them",
            received=repr(value),
            action="Correct the value, or give None for a missing one.",
        ) from None


def _as_bytes(value: Any) -> bytes:
    if value is None or (isinstance(value, float | datetime | np.datetime64) and value != value):
        return b""  # NaN and NaT are not equal to themselves
    if isinstance(value, np.datetime64):
        value = str(value.astype("datetime64[us]"))
    if isinstance(value, date):
        value = value.isoformat()  # of a time with its offset, which the graph knows
    if isinstance(value, (bool, np.bool_)):
        return b"true" if value else b"false"  # as a table's booleans are spelt in the shards
    return value if isinstance(value, bytes) else str(value).encode()


def _as_output(tensor: tf.Tensor) -> np.ndarray:
    values: np.ndarray = tensor.numpy()
    if values.dtype != object:
        return values
    texts = [value.decode() for value in values.ravel()]
    return np.asarray(texts, np.str_).reshape(values.shape)
