"""The whole declaration as one typed value, and what is derived from it."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from transforms.contract.decoders import UpsamplingDecoder
from transforms.contract.encoders import (
    BagOfWordsEncoder,
    CustomEncoder,
    Encoder,
    SharedEncoder,
    encoders_of,
)
from transforms.contract.features import Categorical, FeatureSpec, Image, Noise, RawColumn, Text
from transforms.contract.fingerprint import fingerprint
from transforms.contract.kinds import Feature, is_user_kind
from transforms.contract.model import (
    DiscriminatorSpec,
    Gate,
    GateSpec,
    ModelSpec,
    RegistrySpec,
    TrainingSpec,
)
from transforms.contract.pictures import check_augmentations, check_backbones, check_decoders
from transforms.contract.source import (
    SPLITS,
    WINDOW_SPLIT_COLUMN,
    BeamSpec,
    ColumnSplit,
    HashSplit,
    SourceSpec,
    Split,
    TimeSplit,
    TransformSpec,
)
from transforms.contract.spec import Spec
from transforms.contract.targets import BinaryMask, ContinuousImage, ImageTarget, Target

ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]

# Raised whenever the same declaration and rows would give other shards than before.
TRANSFORM_VERSION = 1

# Fields of a target that shape the training but not the shards.
_TRAINING_FIELDS = {"loss", "loss_weight", "metrics", "class_weights", "activation"}
ERROR_COLUMN = "error"  # of predictions: why a row could not be scored
LOWER_IS_BETTER = {"mae", "mse", "rmse", "loss"}


class PipelineSpec(Spec):
    """One pipeline: a table, its features and targets, a model and how it is trained."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
    source: SourceSpec
    split: Split = HashSplit()
    features: Annotated[dict[ColumnName, Feature], Field(min_length=1)]
    targets: Annotated[dict[ColumnName, Target], Field(min_length=1)]
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    gate: Gate = GateSpec()
    registry: RegistrySpec = RegistrySpec()
    transform: TransformSpec = TransformSpec()
    beam: BeamSpec = BeamSpec()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        shared = sorted(set(self.features) & set(self.targets))
        if shared:
            raise ValueError(
                f"@targets.{shared[0]} a name that no feature has, received {shared[0]!r} twice"
            )
        for group, names in (("features", self.features), ("targets", self.targets)):
            for name in names:
                if "__" in name:  # what Braid derives from a name: its weight, its indicator
                    raise ValueError(f"@{group}.{name} a name without '__', received {name!r}")
        for name in (ERROR_COLUMN, self.source.key):
            if name in self.targets:
                raise ValueError(
                    f"@targets.{name} another name, as predictions have a column of this one, "
                    f"received {name!r}; name the target's column with `column:`"
                )
        return self

    @model_validator(mode="after")
    def _windows_do_not_leak(self) -> Self:
        windows = self.source.windows
        if windows is None:
            return self
        if self.source.partition_by is not None:
            raise ValueError(
                "@source.partition_by no partitions, as a window may reach over their borders, "
                f"received {self.source.partition_by!r}"
            )
        if not isinstance(self.split, TimeSplit) or self.split.column != windows.time:
            raise ValueError(
                f"@split {{by: time, column: {windows.time}, validation_from: ..., test_from: "
                f"...}}, as windows of one split must not reach into another, "
                f"received {self.split.model_dump(exclude_defaults=True) or 'none'}"
            )
        made = (self.source.key, WINDOW_SPLIT_COLUMN, *windows.next_columns())
        names = [*made, *windows.values, *windows.keep]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"@source.windows a name of its own for every column of a window's row, "
                f"received {twice[0]!r} twice"
            )
        for name, raw in self.raw_features().items():
            later = set(raw.columns).intersection(windows.next_columns())
            if later:
                raise ValueError(
                    f"@features.{name} a column that is known at a window's last step, "
                    f"received {min(later)!r}"
                )
        return self

    @model_validator(mode="after")
    def _noise_stands_beside_columns(self) -> Self:
        columns = {column for raw in self.raw_features().values() for column in raw.columns}
        for name, feature in self.modelled().features.items():
            if not isinstance(feature, Noise):
                continue
            if not self.modelled().column_features():
                raise ValueError(
                    f"@features.{name} a feature with a column beside it, received noise alone"
                )
            if name in columns:  # the exported model takes both, by these names
                raise ValueError(
                    f"@features.{name} a name that no feature's column has, received {name!r}"
                )
        return self

    @model_validator(mode="after")
    def _class_weights_name_labels(self) -> Self:
        for name, target in self.targets.items():
            weights = getattr(target, "class_weights", None)
            if target.kind == "binary" and isinstance(weights, dict) and set(weights) - {"0", "1"}:
                raise ValueError(
                    f"@targets.{name}.class_weights weights for the labels '0' and '1', "
                    f"received {sorted(weights)}"
                )
        return self

    @model_validator(mode="after")
    def _the_model_takes_what_is_declared(self) -> Self:
        for group, declared in (("features", self.features), ("targets", self.targets)):
            for name in getattr(self.model, group) or ():
                if name not in declared:
                    raise ValueError(
                        f"@model.{group} some of {', '.join(declared)}, received {name!r}"
                    )
        used = self.modelled()
        for name in self.model.encoders:
            if name in self.features and name not in used.features:
                raise ValueError(
                    f"@model.encoders.{name} one of model.features "
                    f"({', '.join(used.features)}), received {name!r}"
                )
        return self

    @model_validator(mode="after")
    def _a_column_has_one_type(self) -> Self:
        seen: dict[str, RawColumn] = {}
        for raw in (*self.raw_features().values(), *self.raw_targets().values()):
            if seen.setdefault(raw.name, raw) != raw:
                raise ValueError(
                    f"@features one type for column {raw.name!r}, "
                    f"received {seen[raw.name].in_words()} and {raw.in_words()} "
                    "by two declarations"
                )
        return self

    @model_validator(mode="after")
    def _encoders_fit_their_features(self) -> Self:
        for name, encoder in self.model.encoders.items():
            if name not in self.features:
                raise ValueError(f"@model.encoders.{name} the name of a feature, received {name!r}")
            if isinstance(encoder, SharedEncoder):
                self._refuse_to_share(name, encoder)
                continue
            kind = self.features[name].kind
            allowed = encoders_of(kind)
            if type(encoder) not in allowed:
                kinds = ", ".join(cls.model_fields["kind"].default for cls in allowed)
                raise ValueError(
                    f"@model.encoders.{name}.kind one of {kinds} for the {kind} feature, "
                    f"received {encoder.kind!r}"
                )
        return self

    def _refuse_to_share(self, name: str, encoder: SharedEncoder) -> None:
        place = f"@model.encoders.{name}.with"
        other = self.modelled().features.get(encoder.with_)
        own = self.features[name]
        if other is None or encoder.with_ == name:
            raise ValueError(f"{place} the name of another feature, received {encoder.with_!r}")
        if isinstance(self.model.encoders.get(encoder.with_), SharedEncoder):
            raise ValueError(
                f"{place} a feature with an encoder of its own, received {encoder.with_!r}, "
                "which shares one"
            )
        if own.kind != other.kind:
            raise ValueError(f"{place} another {own.kind} feature, received the kind {other.kind}")
        if own.layout() != other.layout():
            (dtype, shape), (other_dtype, other_shape) = own.layout(), other.layout()
            raise ValueError(
                f"{place} a feature of {dtype} {list(shape)} as this one, "
                f"received {other_dtype} {list(other_shape)}"
            )
        if not _ids_mean_the_same(own, other):
            raise ValueError(
                f"{place} features without a vocabulary, hashed alike or both with identity, as "
                f"the same id is another word in each, received two of kind {own.kind}"
            )

    @model_validator(mode="after")
    def _weights_of_terms_are_used(self) -> Self:
        if self.model.builder is not None:
            return self  # it finds them in the manifest
        for name, feature in self.modelled().features.items():
            encoder = self.encoder_of(name)
            weighted = isinstance(feature, Text) and feature.weights is not None
            if weighted and not isinstance(encoder, (BagOfWordsEncoder, CustomEncoder)):
                raise ValueError(
                    f"@model.encoders.{name}.kind bag_of_words or custom, as "
                    f"features.{name}.weights is for these, received {encoder.kind!r}"
                )
        return self

    @model_validator(mode="after")
    def _pictures_can_be_used_so(self) -> Self:
        check_augmentations(self)
        check_decoders(self)
        check_backbones(self)
        return self

    def pictures_like(self, target: ImageTarget) -> list[str]:
        """Returns the image features of a target's height and width."""
        size = (target.height, target.width)
        return [
            name
            for name, feature in self.features.items()
            if isinstance(feature, Image) and (feature.height, feature.width) == size
        ]

    @model_validator(mode="after")
    def _balance_has_something_to_balance(self) -> Self:
        if self.training.loss_balance == "uncertainty" and len(self.modelled().targets) < 2:
            raise ValueError(
                "@training.loss_balance fixed for a single target, received 'uncertainty'"
            )
        return self

    @model_validator(mode="after")
    def _an_adversary_has_a_picture_to_judge(self) -> Self:
        training = self.training
        if training.objective == "supervised":
            if training.discriminator != DiscriminatorSpec():
                raise ValueError(
                    "@training.discriminator objective: adversarial beside it, received "
                    "'supervised'"
                )
            return self
        used = self.modelled()
        pictures = [t for t in used.targets.values() if isinstance(t, BinaryMask | ContinuousImage)]
        if len(pictures) != 1 or len(used.targets) != 1:
            kinds = ", ".join(f"{name} of kind {t.kind}" for name, t in used.targets.items())
            raise ValueError(
                "@training.objective a single image target, with values and no classes, for "
                f"'adversarial', received {kinds}"
            )
        if len(used.column_features()) == len(used.features):
            raise ValueError(
                "@training.objective a feature of kind noise for 'adversarial', received "
                f"{', '.join(used.features)}"
            )
        if training.early_stopping_patience is not None:
            raise ValueError(
                "@training.early_stopping_patience null for objective 'adversarial', as no loss "
                f"says which epoch is best, received {training.early_stopping_patience}"
            )
        return self

    @model_validator(mode="after")
    def _gate_metrics_exist(self) -> Self:
        for gate in self.gates():
            if gate.metric not in self.metric_names():
                raise ValueError(
                    f"@gate.metric one of {', '.join(self.metric_names())}, "
                    f"received {gate.metric!r}"
                )
            split = str(gate.metric).partition("_")[0]
            if isinstance(self.split, HashSplit) and getattr(self.split, split) == 0:
                raise ValueError(
                    f"@split.{split} rows to judge {gate.metric} on, received 0 percent"
                )
        return self

    def column_features(self) -> dict[str, FeatureSpec]:
        """Returns the features that a column feeds: all but noise."""
        return {n: spec for n, spec in self.features.items() if isinstance(spec, FeatureSpec)}

    def raw_features(self) -> dict[str, RawColumn]:
        """Returns the graph input of every feature that a column feeds, by feature name."""
        return {n: spec.raw(spec.column or n) for n, spec in self.column_features().items()}

    def raw_targets(self) -> dict[str, RawColumn]:
        """Returns the graph input of every target, by target name."""
        return {name: spec.raw(spec.column or name) for name, spec in self.targets.items()}

    def of_windows(self, path: str) -> PipelineSpec:
        """Returns the declaration as it reads the table that its windows were cut into.

        Args:
            path: The table, a Parquet file.
        """
        source = SourceSpec(path=path, key=self.source.key)
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
        if isinstance(encoder, SharedEncoder):
            return self.encoder_of(encoder.with_)
        if encoder is not None:
            return encoder
        spec = self.features[feature]
        if isinstance(spec, Text) and spec.weights is not None:
            return BagOfWordsEncoder()  # the weights are for it
        default: Any = encoders_of(spec.kind)[0]
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

    def gates(self) -> tuple[GateSpec, ...]:
        """Returns every gate, each with its metric filled in."""
        target, spec = next(iter(self.modelled().targets.items()))
        default = f"test_{target}_{spec.metrics[0]}"
        declared = (self.gate,) if isinstance(self.gate, GateSpec) else self.gate
        return tuple(
            gate if gate.metric else gate.model_copy(update={"metric": default})
            for gate in declared
        )

    def has_user_code(self) -> bool:
        """Whether the declaration names a function or a kind of the user's own."""
        return self.model.has_user_code or any(
            is_user_kind(feature.kind) for feature in self.features.values()
        )

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
                "training": self.training.model_dump(mode="json"),
            }
        )


def _ids_mean_the_same(left: Feature, right: Feature) -> bool:
    """Returns whether an id stands for the same value in both: learnt ids never do."""
    if isinstance(left, Categorical) and isinstance(right, Categorical):
        return left.encoding == right.encoding != "vocabulary"
    return not hasattr(left, "vocabulary_size")


def is_better(metric: str, value: float, reference: float) -> bool:
    """Returns whether a metric's value beats the reference, by the metric's own direction."""
    lower = metric.rsplit("_", 1)[-1] in LOWER_IS_BETTER
    return value < reference if lower else value > reference
