"""How far new rows are from those that a transform was frozen on, and how far is too far."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from transforms.contract.spec import Spec

Threshold = Annotated[float, Field(gt=0, le=1)]


class DriftSpec(Spec):
    """Which distance of the new rows is a reason to refit.

    Attributes:
        threshold: The largest distance of any feature or target, from 0 to 1, that is none. A
            number whose mean moves by a quarter of its standard deviation is 0.1 from where it was.
        features: Another threshold for some features or targets.
    """

    threshold: Threshold = 0.1
    features: dict[str, Threshold] = {}

    def judge(self, measured: MeasuredDrift) -> JudgedDrift:
        """Returns the distances with their thresholds."""
        return JudgedDrift(
            transform=measured.transform,
            partitions=measured.partitions,
            rows=measured.rows,
            features={
                name: JudgedDistance(
                    **found.model_dump(), threshold=self.features.get(name, self.threshold)
                )
                for name, found in measured.features.items()
            },
        )


class Distance(Spec):
    """How far the new rows of one feature or target are from the frozen ones, from 0 to 1.

    Attributes:
        distance: What chance does not explain of the measured distance.
        measured: The Jensen-Shannon distance of the two samples.
        chance: The largest one of at least a hundred ways to deal the rows of both out again.
    """

    distance: float
    measured: float
    chance: float


class JudgedDistance(Distance):
    """A distance with its threshold."""

    threshold: float

    @property
    def exceeded(self) -> bool:
        """Whether it is a reason to refit."""
        return self.distance > self.threshold


class MeasuredDrift(Spec):
    """How far new partitions are from those that a transform was frozen on.

    Attributes:
        transform: The transform's fingerprint.
        partitions: The new partitions, with their fingerprints.
        rows: Their training rows.
        features: The distance of every feature and target that has statistics.
    """

    transform: str
    partitions: dict[str, str]
    rows: int
    features: dict[str, Distance]


class JudgedDrift(Spec):
    """The same with thresholds."""

    transform: str
    partitions: dict[str, str]
    rows: int
    features: dict[str, JudgedDistance]

    def ranked(self) -> list[tuple[str, JudgedDistance]]:
        """Returns all distances, that which is closest to its threshold or most above it first."""
        return sorted(
            self.features.items(), key=lambda item: (-item[1].distance / item[1].threshold, item[0])
        )

    def exceeded(self) -> list[str]:
        """Returns what is a reason to refit, the worst first."""
        return [name for name, found in self.ranked() if found.exceeded]
