"""Writes a made-up table of support tickets and whether they were escalated.

Two independent draws make a ticket: how angry the words of its message are, and how long it has
waited. Both push towards escalation alike; a ticket that is pushed above 0 is escalated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_ANGRY = "unacceptable furious broken refund useless terrible worst ridiculous"
_CALM = "thanks please kindly appreciate happy lovely great patient"
_PLAIN = (
    "the my and a to since with order printer router invoice screen cable account password box "
    "again still yesterday monday email phone number delivery update battery"
)
_TELLING = 8  # words of each message that tell its mood
_WORDS = 18
_HOURS = 24.0  # that half of the tickets have waited at most


def write_table(folder: Path, rows: int = 2000, seed: int = 7) -> None:
    """Writes `tickets.parquet`; the same bytes for the same seed.

    The column `anger`, which no feature reads, is how many more of the telling words are angry
    than calm.

    Args:
        folder: Where the file goes.
        rows: Rows in all.
        seed: Of everything that is random.
    """
    random = np.random.default_rng(seed)
    temper = 1 / (1 + np.exp(-random.normal(scale=1.5, size=rows)))
    angry = random.binomial(_TELLING, temper)
    anger = 2 * angry - _TELLING
    wait = random.normal(size=rows)
    # Half a word more or less settles the ties.
    push = (anger + random.uniform(-0.5, 0.5, size=rows)) / anger.std() + wait
    table = {
        "ticket": [f"T{index:06d}" for index in range(rows)],
        "message": [_message(count, random) for count in angry],
        "hours": np.round(_HOURS * np.exp(wait), 2),
        "escalated": (push > 0).astype(np.int64),
        "anger": anger,
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), folder / "tickets.parquet")


def _message(angry: int, random: np.random.Generator) -> str:
    """Writes telling words among plain ones, and a number that no other message has."""
    words = [
        *random.choice(_ANGRY.split(), size=angry),
        *random.choice(_CALM.split(), size=_TELLING - angry),
        *random.choice(_PLAIN.split(), size=_WORDS - _TELLING - 1),
        f"#{random.integers(10_000_000)}",
    ]
    random.shuffle(words)
    return " ".join(words).capitalize() + "."
