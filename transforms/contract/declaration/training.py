"""The training as a user declares it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, PositiveFloat, Tag, model_validator

from transforms.contract.spec import Bytes, Count, DropoutRate, RuleBroken, Spec, Width

Auto = Literal["auto"]  # follows from the data


class ConstantSchedule(Spec):
    """The same learning rate at every step."""

    kind: Literal["constant"] = "constant"


class CosineSchedule(Spec):
    """From 0 up to the learning rate in `warmup_steps`, then down to 0 along a cosine.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, without
    the restarts.

    Attributes:
        warmup_steps: Optimizer steps until the learning rate is reached.
    """

    kind: Literal["cosine"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


Schedule = Annotated[ConstantSchedule | CosineSchedule, Field(discriminator="kind")]


class DiscriminatorSpec(Spec):
    """The network that tells real pictures from made ones, in adversarial training.

    It reads the picture through a strided convolution per entry of `filters`, and what the picture
    was made from through the declared encoders.

    Attributes:
        filters: Of each convolution; each halves the picture.
        units: The width of the layer that joins picture and conditions.
        learning_rate: Of its own optimizer, Adam.
        dropout: After each convolution; it keeps a small table from being learnt by heart.
    """

    filters: Annotated[tuple[Width, ...], Field(min_length=1)] = (32, 64)
    units: Width = 128
    learning_rate: PositiveFloat = 2e-4
    dropout: DropoutRate = 0.3


class PartitionChoice(Spec):
    """Some partitions of the source: the newest, or a range.

    Attributes:
        last: So many of the last, in the order of the partitions.
        from_: The first, `from` in the declaration; without it there is no lower bound.
        to: The last, itself included; a month or a day is meant to its end.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    last: Count | None = None
    from_: Annotated[str | int | float | None, Field(alias="from")] = None
    to: str | int | float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ranged = self.from_ is not None or self.to is not None
        if ranged == (self.last is not None):
            given = self.model_dump(exclude_none=True) or "none of them"
            raise RuleBroken(
                expected="either last, or from and to or one of these", received=str(given)
            )
        return self

    def first(self) -> str | None:
        """Returns the lower bound as partitions spell their values."""
        return None if self.from_ is None else str(self.from_)

    def final(self) -> str | None:
        """Returns the upper bound as partitions spell their values."""
        return None if self.to is None else str(self.to)

    def in_words(self) -> str:
        """Returns the choice as a person would say it."""
        if self.last is not None:
            return f"the last {self.last}"
        bounds = (("from", self.from_), ("to", self.to))
        return " ".join(f"{word} {value}" for word, value in bounds if value is not None)


def _every_or_some(value: Any) -> str:
    return "every" if isinstance(value, str) else "some"


def _is_auto(value: object) -> bool:
    return value == "auto"


Partitions = Annotated[
    Annotated[Literal["all"], Tag("every")] | Annotated[PartitionChoice, Tag("some")],
    Discriminator(_every_or_some),
]


class TrainingSpec(Spec):
    """The objective, the length and the pace of a training.

    Attributes:
        partitions: Which of the source's partitions train, validate and test: "all", `{last: 30}`,
            or a range `{from: 2026-01-01, to: 2026-03-31}`. The shards of the others stay.
        start: What training waits for before its first step: "all" partitions' shards, or, with
            "streaming", those of the first partition. Its first epoch then learns partition after
            partition, in the order of the source, while later ones are still being transformed;
            rows are shuffled within their partition. All further epochs are as ever.
        objective: "supervised" lowers the targets' losses. "adversarial" trains the network to
            make pictures that a discriminator takes for real ones; it is for exactly one image
            target, and wants a noise feature and no early stopping.
        loss_balance: How the losses of several targets are added up: "fixed" by their
            `loss_weight`, "uncertainty" by weights that are learnt beside it.
        discriminator: Of adversarial training.
        epochs: At most so many passes over the training rows. "auto" follows from their number, as
            `trainer.recipe` says, and so do all keys that may be "auto".
        steps: At most so many optimizer steps, in place of `epochs`.
        batch_size: Rows in a step.
        optimizer: What makes steps out of gradients.
        learning_rate: The length of a step, at its largest where a schedule changes it.
        weight_decay: Of "adamw", for weights that multiply; not for biases and normalizations.
        gradient_clipping: A step's gradients are scaled down to this length, all together; None
            takes them as they are.
        schedule: How the learning rate changes from step to step.
        ema: The model's weights are a running mean of those that the steps give, of which every
            step keeps this share: Polyak and Juditsky, "Acceleration of Stochastic Approximation
            by Averaging", 1992. 0 takes the last weights.
        early_stopping_patience: Stop after so many epochs without a better validation loss, and
            keep the best epoch's weights; None trains all epochs and keeps the last.
        refit: "all" trains once more, on training and validation rows together, for as many steps
            as were found the best, and keeps that model; None keeps the one that was chosen, and
            so does "auto" with `warm_start`: its next training would begin with weights that have
            learnt the rows that it is chosen by.
            Metrics of the validation rows are those of the chosen one either way.
        members: So many networks are trained side by side, and the mean of their answers is the
            model's: Lakshminarayanan, Pritzel and Blundell, "Simple and Scalable Predictive
            Uncertainty Estimation using Deep Ensembles", 2017. Encoders of pictures, and those
            that read texts in order, are shared among them.
        blend: "linear" blends the network's answers with those of a linear model of all columns, in
            the share that is best on the validation rows, for every target by itself: Breiman,
            "Stacked Regressions", 1996. Pictures as targets have none. None blends nothing.
        mixed_precision: Compute in float16 or bfloat16 with float32 weights; worth it on a GPU
            only.
        shuffle_bytes: The trainer's memory for data: a table whose parsed rows fit is read once and
            held, of a larger one so many bytes are shuffled at a time.
        checkpoint_seconds: How often a checkpoint within the epoch is written, so that a killed
            training goes on from there; None writes one per epoch only.
        warm_start: "champion" begins with the weights of the registry's present champion wherever
            they fit, embedding rows by their terms and outputs by their labels; None begins at
            random.
        dispatch: Where training, export and evaluation run: "local", in processes of the machine
            that the flow runs on, or "deployment", on a machine of the server's `gpu` pool.
        seed: Of the initial weights, the order of the rows, dropout and noise.
    """

    partitions: Partitions = "all"
    start: Literal["all", "streaming"] = "all"
    objective: Literal["supervised", "adversarial"] = "supervised"
    loss_balance: Literal["fixed", "uncertainty"] = "fixed"
    discriminator: DiscriminatorSpec = DiscriminatorSpec()
    epochs: Count | Auto = "auto"
    steps: Count | None = None
    batch_size: Count | Auto = "auto"
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: PositiveFloat = 1.5e-3
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    gradient_clipping: PositiveFloat | None = 1.0
    schedule: Schedule = ConstantSchedule()
    ema: Annotated[float, Field(ge=0, lt=1)] | Auto = "auto"
    early_stopping_patience: Count | Auto | None = "auto"
    refit: Literal["all", "auto"] | None = "auto"
    members: Annotated[int, Field(ge=1, le=32)] | Auto = "auto"
    # Not written where it says nothing: what was trained before there was the key stays the same.
    blend: Annotated[Literal["linear", "auto"] | None, Field(exclude_if=_is_auto)] = "auto"
    mixed_precision: Literal["float16", "bfloat16"] | None = None
    shuffle_bytes: Bytes = 256 * 1024 * 1024
    checkpoint_seconds: PositiveFloat | None = 60.0
    warm_start: Literal["champion"] | None = None
    dispatch: Literal["local", "deployment"] = "local"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 17

    @model_validator(mode="after")
    def _heirs_are_chosen_by_rows_that_no_champion_learnt(self) -> Self:
        if self.refit == "all" and self.warm_start is not None:
            raise RuleBroken(
                expected="either warm_start or refit: all, as weights that have learnt the "
                "validation rows leave nothing to choose by",
                received=f"warm_start: {self.warm_start} and refit: all",
            )
        return self

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.steps is not None and self.epochs != "auto":
            raise RuleBroken(
                expected="either epochs or steps",
                received=f"epochs {self.epochs} and steps {self.steps}",
            )
        return self
