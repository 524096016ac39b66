"""Numbers that are scaled alike go through the graph side by side, as the columns of one tensor.

A graph with a few operations for each of hundreds of columns takes minutes to trace and to save.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from transforms.contract.columns.features import FeatureSpec, RawColumn
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import MISSING_SUFFIX
from transforms.graph.tft import Tensors
from transforms.kinds.features import PACKED_KINDS

_SUFFIX = "__packed"  # no feature's name has two underscores


@dataclass(frozen=True)
class Pack:
    """Features of one number each that are declared alike.

    Attributes:
        names: The features.
        spec: What is declared of all of them.
        raw: What the graph takes: a column of each, in the order of the names.
    """

    names: tuple[str, ...]
    spec: FeatureSpec
    raw: RawColumn

    @property
    def name(self) -> str:
        """The name that stands for all of them: that of the first one."""
        return self.names[0]


def packs(pipeline: PipelineSpec) -> list[Pack]:
    """Returns the features that are packed; one that no other is declared like is not."""
    alike: dict[tuple[str, bool], dict[str, FeatureSpec]] = {}
    raws = pipeline.raw_features()
    for name, spec in pipeline.column_features().items():
        if spec.kind in PACKED_KINDS and not raws[name].shape:
            scaling = spec.model_dump_json(exclude={"column", "missing", "invalid"})
            alike.setdefault((scaling, spec.has_indicator), {})[name] = spec
    return [
        Pack(
            tuple(group),
            next(iter(group.values())),
            RawColumn(
                name=next(iter(group)) + _SUFFIX,
                dtype="float32",
                shape=(len(group),),
                sources=tuple(raws[name].name for name in group),
            ),
        )
        for group in alike.values()
        if len(group) > 1
    ]


def not_packed(pipeline: PipelineSpec, all_packs: Iterable[Pack]) -> dict[str, FeatureSpec]:
    """Returns the features that are in none of the packs."""
    packed = {name for pack in all_packs for name in pack.names}
    return {n: spec for n, spec in pipeline.column_features().items() if n not in packed}


def packed_columns(pipeline: PipelineSpec) -> dict[str, RawColumn]:
    """Returns what the preprocessing function takes: packs, and the columns of everything else."""
    all_packs, raws = packs(pipeline), pipeline.raw_features()
    columns = [raws[name] for name in not_packed(pipeline, all_packs)]
    columns += [*pipeline.raw_targets().values(), *(pack.raw for pack in all_packs)]
    return {raw.name: raw for raw in columns}


def pack_columns(pipeline: PipelineSpec, raw: Mapping[str, tf.Tensor]) -> Tensors:
    """Returns what `packed_columns` names.

    Args:
        pipeline: The declaration.
        raw: Every raw column.
    """
    side_by_side = {pack.raw.name: pack.raw.sources for pack in packs(pipeline)}
    return {
        name: tf.stack([raw[column] for column in side_by_side[name]], axis=1)
        if name in side_by_side
        else raw[name]
        for name in packed_columns(pipeline)
    }


def unpack_outputs(pipeline: PipelineSpec, outputs: Mapping[str, tf.Tensor]) -> Tensors:
    """Returns every feature's own output, and every indicator."""
    unpacked = dict(outputs)
    for pack in packs(pipeline):
        for suffix in ("", MISSING_SUFFIX):
            if pack.name + suffix in outputs:
                columns = tf.unstack(outputs[pack.name + suffix], axis=1)
                names = [name + suffix for name in pack.names]
                unpacked |= dict(zip(names, columns, strict=True))
    return unpacked
