"""The whole declaration as one typed value, and what is derived from it."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from transforms.contract.columns.features import FeatureSpec, RawColumn
from transforms.contract.columns.inputs import named_inputs
from transforms.contract.columns.kinds import Feature, is_user_kind, user_code
from transforms.contract.columns.targets import Target
from transforms.contract.declaration.judgement.evaluation import EvaluationSpec
from transforms.contract.declaration.judgement.expect import Expectation
from transforms.contract.declaration.judgement.gate import Gate, GateSpec, RegistrySpec
from transforms.contract.declaration.notify import NotifySpec
from transforms.contract.declaration.schedule import ScheduleSpec
from transforms.contract.declaration.source import WINDOW_SPLIT_COLUMN, SourceSpec
from transforms.contract.declaration.split import SPLITS, ColumnSplit, HashSplit, Split
from transforms.contract.declaration.training import TrainingSpec
from transforms.contract.declaration.transform import (
    BeamSpec,
    Store,
    StoreSpec,
    TransformSpec,
    store_of,
)
from transforms.contract.fingerprint import fingerprint
from transforms.contract.network.decoders import UpsamplingDecoder
from transforms.contract.network.encoders import Encoder, encoders_of
from transforms.contract.network.model import ModelSpec
from transforms.contract.spec import Spec
from transforms.contract.user_modules import check_function

ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]

# Raised whenever the same declaration and rows would give other shards than before.
TRANSFORM_VERSION = 3

# Fields of a target that shape the training but not the shards.
_TRAINING_FIELDS = {
    "loss",
    "loss_weight",
    "metrics",
    "class_weights",
    "label_smoothing",
    "spread",
    "calibration",
    "threshold",
    "activation",
}
# Fields of the training that say where it runs: moving it must not make another model.
_PLACE_FIELDS = {"dispatch"}


class PipelineSpec(Spec):
    """One pipeline: a table, its features and targets, a model and how it is trained.

    Whether its parts fit together is for the rules to say, where a document is read.

    Attributes:
        name: The pipeline's name, and by default its model's.
        source: Where the rows are.
        split: Which rows train, which validate and which test.
        features: What the model sees, by name: columns and their kinds.
        targets: What it predicts, by name: columns and their kinds.
        model: The network between them.
        training: How long, how fast and how often it is trained.
        expect: What the rows of a column have to be like, by its name, and of `rows` how many.
        evaluation: What is told of the test rows beside their metrics.
        gate: What a model must reach to become the champion: one gate, or several in a list.
        registry: Where models are registered.
        transform: How rows become shards, and how many of them may be lost.
        beam: What runs the transform.
        store: Where shards, rejects, statistics and transforms lie, if not in the workspace: a
            folder, or "gs://bucket/braid" or "s3://bucket/braid".
        schedule: When a Prefect server runs the pipeline, once it is deployed.
        notify: Whom that server tells of runs that fail or are refused, and of drift.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
    source: SourceSpec
    split: Split = HashSplit()
    features: Annotated[dict[ColumnName, Feature], Field(min_length=1)]
    targets: Annotated[dict[ColumnName, Target], Field(min_length=1)]
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    # Left out where nothing is expected, so that jobs and exports are as they were without it.
    expect: Annotated[dict[ColumnName, Expectation], Field(exclude_if=operator.not_)] = {}
    evaluation: EvaluationSpec = EvaluationSpec()
    gate: Gate = GateSpec()
    registry: RegistrySpec = RegistrySpec()
    transform: TransformSpec = TransformSpec()
    beam: BeamSpec = BeamSpec()
    # Left out where there is none, so that jobs and exports are as they were without it.
    store: Annotated[Store | None, Field(exclude_if=operator.not_)] = None
    schedule: ScheduleSpec | None = None
    # Left out where nobody is told, so that jobs and exports are as they were without it.
    notify: Annotated[NotifySpec | None, Field(exclude_if=operator.not_)] = None

    @property
    def makes_pictures(self) -> bool:
        """Whether a target is a picture or a mask."""
        return any(target.picture_size is not None for target in self.targets.values())

    def pictures_like(self, target: Target) -> list[str]:
        """Returns the image features of an image target's height and width."""
        size = target.picture_size
        alike = [name for name, spec in self.features.items() if spec.picture_size == size]
        return [] if size is None else alike

    def column_features(self) -> dict[str, FeatureSpec]:
        """Returns the features that a column feeds: all but noise."""
        return {n: spec for n, spec in self.features.items() if isinstance(spec, FeatureSpec)}

    def raw_features(self) -> dict[str, RawColumn]:
        """Returns the graph input of every feature that a column feeds, by feature name."""
        inputs = self._inputs()
        return {name: inputs[name] for name in self.column_features()}

    def raw_targets(self) -> dict[str, RawColumn]:
        """Returns the graph input of every target, by target name."""
        inputs = self._inputs()
        return {name: inputs[name] for name in self.targets}

    def sensitive_columns(self) -> frozenset[str]:
        """Returns the source columns whose values nobody is to read."""
        declared: dict[str, Any] = {**self.column_features(), **self.targets}
        columns = {
            column
            for name, spec in declared.items()
            if spec.sensitive
            for column in spec.raw(spec.column or name).columns
        }
        windows = self.source.windows
        named = self.source.sensitive_key or (windows is not None and windows.entity in columns)
        return frozenset({*columns, *self.source.name_columns} if named else columns)

    def _inputs(self) -> dict[str, RawColumn]:
        declared = self.column_features() | self.targets
        return named_inputs({n: spec.raw(spec.column or n) for n, spec in declared.items()})

    def of_windows(self, path: str) -> PipelineSpec:
        """Returns the declaration as it reads the table that its windows were cut into.

        Args:
            path: The table, a Parquet file.
        """
        hidden = self.source.sensitive_key
        (key,) = self.source.name_columns
        source = SourceSpec(path=path, format="parquet", key=key, sensitive_key=hidden)
        split = ColumnSplit(by="column", column=WINDOW_SPLIT_COLUMN)
        return self.model_copy(update={"source": source, "split": split})

    def modelled(self) -> PipelineSpec:
        """Returns the declaration with the features and targets that its model uses, and no other.

        What it says of the data is that of the whole declaration only if nothing was left out.
        """
        features, targets = self.model.features, self.model.targets
        return self.model_copy(
            update={
                "features": {n: f for n, f in self.features.items() if n in (features or (n,))},
                "targets": {n: t for n, t in self.targets.items() if n in (targets or (n,))},
                "model": self.model.model_copy(update={"features": None, "targets": None}),
            }
        )

    def encoder_of(self, feature: str) -> Encoder:
        """Returns the declared encoder of a feature, also one that it shares, or its default."""
        encoder = self.model.encoders.get(feature)
        if encoder is not None:
            source = encoder.shares_with
            return encoder if source is None else self.encoder_of(source)
        default: Any = encoders_of(self.features[feature].kind)[0]
        return default()  # type: ignore[no-any-return]

    def decoder_of(self, target: str) -> UpsamplingDecoder:
        """Returns the declared decoder of an image target, or the default."""
        return self.model.decoders.get(target, UpsamplingDecoder())

    def metric_names(self) -> tuple[str, ...]:
        """Returns the name of every metric that an evaluation gives."""
        names = [f"{split}_loss" for split in SPLITS[1:]]
        names += [
            f"{split}_{target}_{metric}"
            for split in SPLITS[1:]
            for target, spec in self.modelled().targets.items()
            for metric in spec.metrics
        ]
        return tuple(names)

    def spread_targets(self) -> tuple[str, ...]:
        """Returns the targets whose members' spread is an output."""
        targets = self.modelled().targets
        return tuple(name for name, spec in targets.items() if getattr(spec, "spread", False))

    def adjusted_targets(self) -> tuple[str, ...]:
        """Returns the targets whose probabilities are calibrated, or have a threshold."""
        keys = ("calibration", "threshold")
        targets = self.modelled().targets.items()
        return tuple(n for n, spec in targets if any(getattr(spec, key, None) for key in keys))

    def gates(self) -> tuple[GateSpec, ...]:
        """Returns every gate, each with its metric filled in.

        The default is on the test rows: the champion is scored on these alone, so that a gate on
        validation would compare it with nothing. A run judges on them once, and chooses by none.
        """
        target, spec = next(iter(self.modelled().targets.items()))
        default = f"test_{target}_{spec.metrics[0]}"
        declared = (self.gate,) if isinstance(self.gate, GateSpec) else self.gate
        return tuple(
            gate if gate.metric else gate.model_copy(update={"metric": default})
            for gate in declared
        )

    def check_user_functions(self) -> None:
        """Refuses functions of the user's that are not there, before any row is read for them.

        Raises:
            DeclarationError: A module or a function is not there.
        """
        for name, feature in self.features.items():
            if is_user_kind(feature.kind):
                place = f"features.{name}.kind"
                for function in ("requests", "encode", "stored"):
                    check_function(f"{feature.kind}.transform:{function}", place)
                check_function(f"{feature.kind}.encoder:encode", place)
        for name, encoder in self.model.encoders.items():
            if encoder.user_function is not None:
                check_function(encoder.user_function, f"model.encoders.{name}.builder")
        if self.model.builder is not None:
            check_function(self.model.builder, "model.builder")

    def has_user_code(self) -> bool:
        """Returns whether the declaration names a function or a kind of the user's own."""
        return self.model.has_user_code or any(
            is_user_kind(feature.kind) for feature in self.features.values()
        )

    def declared_store(self) -> StoreSpec | None:
        """Returns the store with all its keys; None if all lies in the workspace."""
        return None if self.store is None else store_of(self.store)

    def registered_name(self) -> str:
        """Returns the name of the model in the registry."""
        return self.registry.name or self.name

    def data_fingerprint(self) -> str:
        """Returns the fingerprint of all that shapes the shards, apart from the rows."""
        windows = self.source.windows
        return fingerprint(
            {
                "version": TRANSFORM_VERSION,
                "key": self.source.key,
                "windows": windows.model_dump(mode="json") if windows else None,
                "split": self.split.model_dump(mode="json"),
                "features": {n: f.model_dump(mode="json") for n, f in self.features.items()},
                "targets": {
                    name: target.model_dump(mode="json", exclude=_TRAINING_FIELDS)
                    for name, target in self.targets.items()
                },
            }
            | ({"sensitive_key": True} if self.source.sensitive_key else {})
            | ({"where": self.source.where} if self.source.where else {})
            | _allowed(self.source)
            | _code(self.features, "declaration", "transform")
        )

    def training_fingerprint(self) -> str:
        """Returns the fingerprint of all that shapes the model, apart from the shards."""
        return fingerprint(
            {
                "targets": {
                    name: target.model_dump(mode="json")
                    for name, target in self.modelled().targets.items()
                },
                "model": self.model.model_dump(mode="json"),
                "training": self.training.model_dump(mode="json", exclude=_PLACE_FIELDS),
            }
            | _code(self.modelled().features, "encoder")
        )


def _allowed(source: SourceSpec) -> dict[str, Any]:
    # As they lie from the source, so that a project that moves as a whole keeps its shards.
    places = [
        place if "://" in place + source.path else os.path.relpath(place, source.path)
        for place in source.allow
    ]
    return {"allow": sorted(places)} if places else {}


def _code(features: Mapping[str, Any], *parts: str) -> dict[str, Any]:
    # Nothing where all kinds are Braid's own, whose versions tell of a change.
    code = user_code(features, *parts)
    return {"code": code} if code else {}
