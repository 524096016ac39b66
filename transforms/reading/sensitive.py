"""Values that nobody is to read, taken out of what is kept beside the shards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.reading.batches import Reject

HIDDEN = "(sensitive)"


def shown_value(pipeline: PipelineSpec, column: str, value: object) -> str:
    """Returns a value of a source column as an error may show it."""
    return HIDDEN if column in pipeline.sensitive_columns() else str(value)


def shown_key(pipeline: PipelineSpec, key: str) -> str:
    """Returns a row's key as people may read it."""
    hidden = pipeline.sensitive_columns()
    return key if hidden.isdisjoint(pipeline.source.name_columns) else HIDDEN


def shown_rejects(pipeline: PipelineSpec, rejects: Iterable[Reject]) -> list[Reject]:
    """Returns rejects without the values of sensitive columns, and without sensitive keys."""
    hidden = pipeline.sensitive_columns()
    hides_keys = not hidden.isdisjoint(pipeline.source.name_columns)
    return [
        replace(
            reject,
            key=HIDDEN if hides_keys else reject.key,
            value=HIDDEN.encode() if reject.column in hidden else reject.value,
        )
        for reject in rejects
    ]
