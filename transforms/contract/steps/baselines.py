"""The metrics of answers that cost next to nothing, which every model is held against."""

from __future__ import annotations

from transforms.contract.spec import Spec


class Baselines(Spec):
    """Metrics on the model's own validation and test rows, by the names of the model's metrics.

    A target without such an answer gives none, and so does a metric that is not finite.

    Attributes:
        constant: Of the same answer for every row, whatever its features: the training rows'
            class shares, their mean, or their median where the loss is `mae`.
        linear: Of ridge or logistic regression on the stored features.
        nearest: Of the most similar training row, for series that are classified.
    """

    constant: dict[str, float] = {}
    linear: dict[str, float] = {}
    nearest: dict[str, float] = {}

    def scored(self) -> dict[str, dict[str, float]]:
        """Returns the metrics of every answer that was scored, by the answer's name."""
        answers = {"constant": self.constant, "linear": self.linear, "nearest": self.nearest}
        return {name: metrics for name, metrics in answers.items() if metrics}
