from __future__ import annotations

import numpy as np
import pytest

from tests.trainer.world import manifest_of, pipeline_of
from trainer.evaluation.metrics import SplitScores
from trainer.evaluation.resampling import resample
from trainer.evaluation.row_terms import RowTerms
from trainer.evaluation.slices import Slice
from trainer.network.heads import head_of
from transforms.contract.columns.targets import (
    Binary,
    BinaryMask,
    ClassMask,
    ContinuousImage,
    Multiclass,
    Multilabel,
    NumericTarget,
)
from transforms.contract.declaration.judgement.evaluation import EvaluationSpec

ROWS = 60
RANDOM = np.random.default_rng(5)
YES = (RANDOM.random(ROWS) < 0.4).astype(np.float32)
PICTURE = {"kind": "image", "height": 2, "width": 2}


def _probabilities(*shape):
    raw = RANDOM.random((ROWS, *shape))
    return (raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32)


# Every kind of target with all of its metrics: truths and predictions as metrics take them.
CASES = {
    "binary": (
        Binary(kind="binary"),
        ("auc", "average_precision", "precision", "recall", "f1", "accuracy", "log_loss",
         "calibration_error"),
        YES,
        # Few different ones, so that there are ties.
        np.round(RANDOM.random(ROWS) * 8) / 8,
    ),
    "multiclass": (
        Multiclass(kind="multiclass"),
        ("accuracy", "top_3_accuracy", "f1", "log_loss", "calibration_error"),
        RANDOM.integers(0, 4, ROWS),
        _probabilities(4),
    ),
    "multilabel": (
        Multilabel(kind="multilabel"),
        ("auc", "f1", "calibration_error"),
        (RANDOM.random((ROWS, 3)) < 0.5).astype(np.float32),
        RANDOM.random((ROWS, 3)).astype(np.float32),
    ),
    "numeric": (
        NumericTarget(kind="numeric"),
        ("mae", "rmse", "r2", "mape", "median_absolute_error"),
        np.round(RANDOM.normal(1e6, 2, ROWS)) - 1e6,
        RANDOM.normal(0, 2, ROWS).astype(np.float32),
    ),
    "vector": (
        NumericTarget(kind="numeric", length=3),
        ("mae", "r2", "median_absolute_error"),
        RANDOM.normal(0, 2, (ROWS, 3)),
        RANDOM.normal(0, 2, (ROWS, 3)).astype(np.float32),
    ),
    "binary_mask": (
        BinaryMask(**PICTURE, content="binary_mask"),
        ("iou", "dice", "accuracy"),
        (RANDOM.random((ROWS, 2, 2, 1)) < 0.5).astype(np.float32),
        RANDOM.random((ROWS, 2, 2, 1)).astype(np.float32),
    ),
    "class_mask": (
        ClassMask(**PICTURE, content="class_mask", classes=3),
        ("mean_iou", "accuracy"),
        RANDOM.integers(0, 3, (ROWS, 2, 2, 1)),
        _probabilities(2, 2, 3),
    ),
    "picture": (
        ContinuousImage(**PICTURE, content="continuous"),
        ("mae", "mse", "psnr"),
        RANDOM.random((ROWS, 2, 2, 1)).astype(np.float32),
        RANDOM.random((ROWS, 2, 2, 1)).astype(np.float32),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "metric"), [(kind, metric) for kind, case in CASES.items() for metric in case[1]]
)
def test_a_metric_of_weighted_rows_is_that_of_rows_that_are_there_so_often(kind, metric):
    spec, _, truth, prediction = CASES[kind]
    counts = np.random.default_rng(1).integers(0, 4, ROWS)
    repeated = np.repeat(np.arange(ROWS), counts)
    score = head_of(spec).metrics[metric](spec)
    score.update(truth[repeated], prediction[repeated])
    weighted = score.weighted(score.terms(truth, prediction), counts[np.newaxis].astype(np.float64))
    assert weighted[0] == pytest.approx(score.result(), rel=1e-6)


def _terms(rows: int, shift: float = 0.0, seed: int = 2) -> RowTerms:
    """Returns what the metrics need of rows whose probabilities are right up to some noise."""
    pipeline = pipeline_of(targets={"sold": {"kind": "binary"}})
    terms = RowTerms(pipeline)
    scores = SplitScores(pipeline, manifest_of(pipeline_of()), frozenset({"sold"}), terms)
    sold = (np.arange(rows) % 3 == 0).astype(np.float32)
    noise = np.random.default_rng(seed).normal(size=rows)
    answer = 1 / (1 + np.exp(-(2 * sold - 1 + noise - shift)))
    scores.update({"sold": answer.astype(np.float32)}, {"sold": sold}, {"sold": np.ones(rows)})
    return terms


def _resampled(rows=300, champion=None, slices=(), replicates=400, intervals=0.95):
    declared = EvaluationSpec(replicates=replicates, intervals=intervals)
    model, other = _terms(rows).measures("test"), champion.measures("test") if champion else {}
    return resample(declared, rows, model, other, slices, seed=1)


def test_the_interval_of_a_share_is_about_the_one_of_theory():
    whole, _ = _resampled(replicates=2000)
    share = whole.metrics["test_sold_accuracy"]
    low, high = whole.resampled["test_sold_accuracy"].interval(0.95)
    expected = 1.96 * np.sqrt(share * (1 - share) / 300)
    assert low == pytest.approx(share - expected, abs=0.01)
    assert high == pytest.approx(share + expected, abs=0.01)


def test_the_difference_of_two_models_on_the_same_rows_is_surer_than_either():
    whole, _ = _resampled(champion=_terms(300, shift=0.2))
    low, high = whole.differences["test_sold_auc"].interval(0.95)
    own_low, own_high = whole.resampled["test_sold_auc"].interval(0.95)
    assert high - low < 0.2 * (own_high - own_low)
    assert low <= 0 <= high, "a shift of all answers changes no order"


def test_a_slice_has_the_metrics_of_its_own_rows():
    first = Slice("city", "is Bonn", np.arange(100))
    _, (bonn,) = _resampled(slices=(first,))
    alone = _terms(300).measures("test")["test_sold_accuracy"]
    assert bonn.metrics["test_sold_accuracy"] == alone.terms[:100, 0].mean()
    assert (bonn.feature, bonn.label, bonn.rows) == ("city", "is Bonn", 100)
    low, high = bonn.resampled["test_sold_accuracy"].interval(0.95)
    assert low < bonn.metrics["test_sold_accuracy"] < high


def test_the_same_rows_and_seed_give_the_same_intervals():
    assert _resampled() == _resampled()


def test_without_intervals_nothing_is_drawn_and_slices_are_measured_all_the_same():
    whole, (part,) = _resampled(slices=(Slice("city", "is Bonn", np.arange(50)),), intervals=None)
    assert not whole.resampled
    assert set(part.metrics) == set(whole.metrics)


def test_a_metric_that_most_replicates_do_not_define_has_no_interval():
    single = Slice("city", "is Bonn", np.flatnonzero(np.arange(300) % 3 == 0))
    _, (part,) = _resampled(slices=(single,))
    assert "test_sold_auc" not in part.metrics, "all of them are sold"
    assert "test_sold_recall" in part.resampled


def test_what_is_more_than_fits_is_not_kept_and_losses_are():
    pipeline = pipeline_of(targets={"sold": {"kind": "binary"}})
    terms = RowTerms(pipeline, most_bytes=100)
    scores = SplitScores(pipeline, manifest_of(pipeline_of()), frozenset({"sold"}), terms)
    for _ in range(2):
        sold = np.float32([0, 1, 1])
        scores.update({"sold": sold / 2}, {"sold": sold}, {"sold": np.ones(3)})
    assert terms.is_too_large
    assert set(terms.measures("test")) == {"test_loss"}
    assert len(terms.losses()) == 6
    assert scores.results("test")["test_sold_recall"] == 1
