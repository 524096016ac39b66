from __future__ import annotations

import numpy as np
import pytest

from transforms.analysis.column_warnings import column_warnings
from transforms.analysis.request_counter import RequestCounter
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.statistics.accumulators import Accumulated

NAN = float("nan")


def _pipeline(feature) -> PipelineSpec:
    return parse(
        {
            "name": "p",
            "source": {"path": "/data", "key": "id"},
            "features": {"x": feature},
            "targets": {"y": {"kind": "numeric"}},
        }
    )


def _warning(feature, *batches) -> str | None:
    pipeline, total = _pipeline(feature), Accumulated()
    dtype = np.float32 if feature["kind"] in ("numeric", "sequence") else object
    for values in batches:
        rows = {"x": np.array(values, dtype), "y": np.zeros(len(values), np.float32)}
        RequestCounter(pipeline).add(rows, total)
        total.rows += len(values)
    return column_warnings(pipeline, total).get("x")


NUMBER = {"kind": "numeric"}
TOLD = {"kind": "numeric", "missing": "missing_indicator"}
WORD = {"kind": "categorical"}
TEXT = {"kind": "text", "length": 2, "ngrams": 1, "weights": None}
SERIES = {"kind": "sequence", "length": 2}
EMPTY = "Feature 'x' has no value in any training row; remove it, or mend its column."
CONSTANT = "Feature 'x' has the same value in every training row; it teaches nothing."


@pytest.mark.parametrize(
    ("feature", "values", "expected"),
    [
        (NUMBER, [NAN, NAN], EMPTY),
        (NUMBER, [7.0, 7.0], CONSTANT),
        (NUMBER, [7.0, NAN], CONSTANT),  # which the default, the mean, fills in
        (TOLD, [7.0, NAN], None),  # that it is missing says something
        (TOLD, [7.0, 7.0], CONSTANT),
        (NUMBER, [7.0, 8.0], None),
        (WORD, [b"", b""], EMPTY),
        (WORD, [b"a", b"a"], CONSTANT),
        (WORD, [b"a", b""], None),
        (WORD, [b"a", b"b"], None),
        (TEXT, [b"", b""], EMPTY),
        (TEXT, [b"good", b"good"], CONSTANT),
        (TEXT, [b"good", b"good good"], None),
        (SERIES, [[[1.0], [1.0]], [[1.0], [1.0]]], CONSTANT),
        (SERIES, [[[1.0], [2.0]], [[1.0], [2.0]]], None),
        (SERIES, [[[NAN], [NAN]]], EMPTY),
    ],
)
def test_an_empty_or_constant_column_is_told(feature, values, expected):
    assert _warning(feature, values) == expected


@pytest.mark.parametrize(
    ("fields", "share", "length"),
    [
        ({}, "25%", 2),
        ({"weights": "tf_idf"}, "25%", 2),
        ({"level": "characters", "length": 8}, "50%", 8),
    ],
)
def test_texts_that_are_cut_are_told_with_their_share(fields, share, length):
    warning = _warning(TEXT | fields, [b"two words", b"three more words"], [b"one", b"once"])
    assert warning == (
        f"Feature 'x' is cut in {share} of the training rows, which have more than {length} terms; "
        "features.x.length keeps more of them."
    )


def test_a_few_long_texts_among_many_are_not_told():
    assert _warning(TEXT, [b"two words"] * 199 + [b"three more words"]) is None


def test_without_rows_nothing_is_told():
    assert column_warnings(_pipeline(NUMBER), Accumulated()) == {}
