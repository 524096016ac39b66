"""The answers of a declared kind to what the rest of Braid asks of any feature or target.

Here are those of most kinds; a kind that has another gives it in its own class.
"""

from __future__ import annotations

from typing import ClassVar

from transforms.contract.spec import Spec


class Declared(Spec):
    """A declared feature or target.

    Attributes:
        graph_judges_texts: Whether the graph takes a text that is no value of it for a missing one.
        moves_on: Whether the values of later rows are bound to be others, which says nothing.
    """

    graph_judges_texts: ClassVar[bool] = False
    moves_on: ClassVar[bool] = False

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """Height and width in pixels of what is a picture; None for everything else."""
        return None

    @property
    def has_statistics(self) -> bool:
        """Whether a transform freezes statistics of it, which can drift."""
        return True


class DeclaredFeature(Declared):
    """A declared feature, with or without a column."""

    graph_judges_texts: ClassVar[bool] = True

    @property
    def has_term_weights(self) -> bool:
        """Whether its terms have weights, for an encoder that reads them."""
        return False

    def ids_mean_as_in(self, other: DeclaredFeature) -> bool:
        """Returns whether an id stands for the same value in another feature of its kind.

        Learnt ids never do.
        """
        del other
        return not hasattr(self, "vocabulary_size")


class DeclaredTarget(Declared):
    """A declared target.

    Attributes:
        has_classes: Whether the labels of the training rows become classes.
        fewest_labels: Without so many labels among the training rows there is nothing to learn.
        fixed_labels: The labels, where they do not depend on the training rows.
        learns_numbers: Whether it is learnt on a scale of the training rows' numbers.
        is_mask: Whether a pixel is one of several things, between which there is nothing.
        has_pixel_values: Whether a pixel is a value, and no class.
    """

    has_classes: ClassVar[bool] = False
    fewest_labels: ClassVar[int] = 0
    fixed_labels: ClassVar[tuple[str, ...]] = ()
    learns_numbers: ClassVar[bool] = False
    is_mask: ClassVar[bool] = False
    has_pixel_values: ClassVar[bool] = False
