"""The gate that a model has to pass, and the registry behind it, as a user declares them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from transforms.contract.spec import Named, RuleBroken, Spec

Confidence = Annotated[float, Field(ge=0.5, le=0.995)]


def _is_none(value: Any) -> bool:
    return value is None


class GateSpec(Spec):
    """The condition that a model must meet to become the champion.

    Attributes:
        metric: "<split>_<target>_<metric>", or "<split>_loss"; by default the first metric of the
            first target on the test split.
        at_least: The lowest value that passes.
        at_most: The highest value that passes.
        tolerance: How much worse than the present champion the model may be on the same rows, as
            a share of the champion's value.
        compare: Whether the champion counts at all; without it only at_least, at_most and the
            constant answer do.
        slice: "worst" holds the gate against every slice of `evaluation.slices`, so that the worst
            one decides.
        confidence: Each comparison has to hold with this confidence, as a bootstrap of the test
            rows sees it: also for the value, or the difference from the champion, that chance
            makes worse in no more than the rest of its replicates.
    """

    metric: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    tolerance: Annotated[float, Field(ge=0)] = 0.02
    compare: bool = True
    # Left out of a dump that does not have them, so that no run is judged anew for their sake.
    slice: Annotated[Literal["worst"] | None, Field(exclude_if=_is_none)] = None
    confidence: Annotated[Confidence | None, Field(exclude_if=_is_none)] = None

    @model_validator(mode="after")
    def _something_passes(self) -> Self:
        least, most = self.at_least, self.at_most
        if least is not None and most is not None and least > most:
            raise RuleBroken(expected="at_least up to at_most", received=f"{least:g} and {most:g}")
        return self


def _one_or_many(value: Any) -> str:
    return "many" if isinstance(value, (list, tuple)) else "one"


Gate = Annotated[
    Annotated[GateSpec, Tag("one")]
    | Annotated[tuple[GateSpec, ...], Field(min_length=1), Tag("many")],
    Discriminator(_one_or_many),
]


class RegistrySpec(Spec):
    """The registry of the models.

    Attributes:
        uri: An MLflow tracking URI; by default a SQLite database in the workspace.
        name: The registered model's name; by default the pipeline's.
    """

    uri: Named | None = None
    # No slash and no colon, which stand between a name and a version where models are named.
    name: Annotated[str, Field(pattern=r"^\w[\w. -]*$", max_length=200)] | None = None
