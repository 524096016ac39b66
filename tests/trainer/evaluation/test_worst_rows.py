from __future__ import annotations

import numpy as np
import pytest

from trainer.evaluation.worst_rows import IN_WORDS, series_of
from transforms.contract.columns.targets import Binary, Multiclass, Multilabel, NumericTarget
from transforms.contract.workspace.manifest import TargetStatistics

FIRST = "0, 1, 2, 3, 4, 5, 6, 7"
LABELS = TargetStatistics(labels=("b", "a", "c"))


@pytest.mark.parametrize(
    ("target", "truth", "answer", "words"),
    [
        (Binary, np.float32(1), np.float32(0.25), ("yes", "no (0.250)")),
        (Multiclass, 2, np.array([0.5, 0.3, 0.2]), ("c (0.200)", "b (0.500)")),
        (Multilabel, np.array([1, 0, 1]), np.array([0.1, 0.2, 0.3]), ("b, c", "none of them")),
        (NumericTarget, np.float32(1500), np.float32(0.5), ("1,500", "0.5")),
        (NumericTarget, np.arange(9), np.arange(2.0), (f"{FIRST}, … (9 numbers)", "0, 1")),
    ],
)  # fmt: skip
def test_truth_and_answer_are_told_as_people_say_them(target, truth, answer, words):
    assert IN_WORDS[target](LABELS, truth, answer) == words


def test_a_long_series_is_drawn_with_some_of_its_numbers_and_without_its_padding():
    series = np.stack([np.append(np.arange(299.0), np.nan), np.zeros(300)], 1)
    drawn = series_of(series)
    assert len(drawn) == 100
    assert (drawn[0], drawn[-1]) == (0, 298)
