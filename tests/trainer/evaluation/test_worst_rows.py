from __future__ import annotations

import numpy as np
import pytest

from trainer.data.shards import shard_files
from trainer.evaluation.figures import png
from trainer.evaluation.worst_rows import IN_WORDS, pictures_of, series_of, worst_rows
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
    series = np.concatenate([[[np.inf, 0]], series])  # missing too
    drawn = series_of(series)
    assert len(drawn) == 100
    assert (drawn[0], drawn[-1]) == (0, 298)


def test_the_rows_with_the_highest_loss_are_shown_with_what_was_decided(trainer_run):
    job, manifest = trainer_run.job, trainer_run.job.manifest()
    files = shard_files(job, "test"), shard_files(job, "test", "raw")

    def predict(inputs):
        rows = len(inputs["price"])
        return {
            "sold": np.full(rows, 0.4, np.float32),
            "sold__decision": np.ones(rows, np.uint8),  # of a threshold below 0.4
            "group": np.tile(np.float32([0.2, 0.7, 0.1]), (rows, 1)),
            "cost": np.full(rows, 1.5, np.float32),
        }

    numbers = [number for number in range(120) if number % 7 == 5]
    losses = np.array([number / 100 for number in numbers])
    losses[numbers.index(12)], losses[numbers.index(5)] = 9.0, 8.0
    shown = worst_rows(job.pipeline, manifest, predict, losses, files, batch_size=4)
    assert [row.loss for row in shown[:3]] == [9.0, 8.0, 1.17]
    assert len(shown) == 10
    worst, second = shown[:2]
    assert (worst.values["color"], worst.values["unit price"]) == ("red", "12")
    assert list(worst.pictures) == ["photo"]
    labels = manifest.targets["group"].labels
    assert worst.answers["sold"] == ("yes", "yes (0.400)")
    assert worst.answers["group"] == (f"{labels[0]} (0.200)", f"{labels[1]} (0.700)")
    assert second.answers["sold"] == ("no", "yes (0.400)")
    assert second.answers["group"][0] == "none"  # it has no label


def test_a_picture_that_has_no_truth_shows_its_prediction_alone():
    pair = np.zeros((4, 4, 1)), np.ones((4, 4, 1))
    both = pictures_of("mask", *pair, is_labelled=True)
    alone = pictures_of("mask", *pair, is_labelled=False)
    assert list(both) == ["mask, truth", "mask, prediction"]
    assert alone == {"mask, prediction": both["mask, prediction"]}


def test_a_mask_of_classes_is_shown_in_shades_of_gray():
    truth = np.array([[[0], [2]]])
    likely = np.array([[[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]])
    pictures = pictures_of("mask", truth, likely, is_labelled=True)
    assert pictures["mask, truth"] == pictures["mask, prediction"] == png(np.array([[[0.0], [1]]]))
