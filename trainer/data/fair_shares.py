"""A total that is shared out among those that want different amounts of it."""

from __future__ import annotations

from collections.abc import Sequence


def fair_shares(wanted: Sequence[int], total: int) -> list[int]:
    """Returns how much of a total each one gets: what it wants, or an equal part of what is left.

    What one does not want is left to the others.
    """
    shares = [0] * len(wanted)
    left = total
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for done, index in enumerate(order):
        shares[index] = min(wanted[index], left // (len(order) - done))
        left -= shares[index]
    return shares
