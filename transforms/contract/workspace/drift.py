"""Distances of new rows from those that a transform was frozen on, measured and judged."""

from __future__ import annotations

from collections.abc import Collection

from transforms.contract.declaration.transform import DriftSpec
from transforms.contract.spec import Spec

_NEVER_EXCEEDED = 1.0  # the largest distance


class Distance(Spec):
    """The distance of one feature's or target's new rows from the frozen ones, from 0 to 1.

    Attributes:
        distance: What chance does not explain of the measured distance.
        measured: The Jensen-Shannon distance of the two samples.
        chance: The largest one of at least a hundred ways to deal the rows of both out again.
    """

    distance: float
    measured: float
    chance: float


class JudgedDistance(Distance):
    """A distance with its threshold.

    Attributes:
        threshold: The distance beyond which the transform is frozen anew.
    """

    threshold: float

    @property
    def exceeded(self) -> bool:
        """Whether it is a reason to refit."""
        return self.distance > self.threshold


class MeasuredDrift(Spec):
    """The distance of new partitions from those that a transform was frozen on.

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
    """The distance of new partitions from a transform's, with thresholds.

    Attributes:
        transform: The transform's fingerprint.
        partitions: The new partitions, with their fingerprints.
        rows: Their training rows.
        features: The distance of every feature and target that has statistics.
    """

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
        return [name for name, measured in self.ranked() if measured.exceeded]


def judge(
    measured: MeasuredDrift, declared: DriftSpec, moving: Collection[str] = ()
) -> JudgedDrift:
    """Returns the measured distances with their thresholds.

    Args:
        measured: The distances.
        declared: The declared thresholds.
        moving: Features whose later values are bound to be others, as those of a date: they are
            no reason to refit unless they have a threshold of their own.
    """
    return JudgedDrift(
        transform=measured.transform,
        partitions=measured.partitions,
        rows=measured.rows,
        features={
            name: JudgedDistance(
                **distance.model_dump(),
                threshold=declared.features.get(
                    name, _NEVER_EXCEEDED if name in moving else declared.threshold
                ),
            )
            for name, distance in measured.features.items()
        },
    )
