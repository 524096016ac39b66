"""The cases of `tests.support.conformance`: every kind, and every encoder that reads it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import pyarrow as pa

from tests.support.conformance import Case, picture

_INDICATOR = {"missing": "missing_indicator"}
_TRANSFORMER = {"kind": "transformer", "dimension": 8, "heads": 2, "feed_forward": 8}
_COUNTS = {"kind": "bag_of_words", "units": None}
_TERMS = {"kind": "bag_of_words", "units": 4}
SIDE = 32  # pixels: the least that the backbones take

_SENTENCES = ("a good flat", "Bad, noisy; dark", "good light", "a flat", "far")
_NUMBERS = (3.0, -1.0, 4.0, 1.5, -5.0, 9.0, 2.5)
_HOLDINGS = (2.0, 5.0, 9.0, 14.0, 22.0, 37.0, 60.0, 150.0, 400.0, 1_100.0, 4_000.0)
_SERIES = tuple([float(i % 5 + step) for step in range(6)] for i in range(7))
_PAIRS = tuple([[float(i % 5), float(step)] for step in range(6)] for i in range(7))

FEATURES = (
    Case(
        "words",
        {"kind": "categorical"},
        ("red", "green", "blue"),
        encoders=({"kind": "embedding", "dimension": 3}, {"kind": "one_hot"}),
    ),
    Case(
        "hashed",
        {"kind": "categorical", "encoding": "hash", "buckets": 8},
        ("a", "b", "c", "d"),
        encoders=({"kind": "one_hot"},),
    ),
    Case(
        "ids",
        {"kind": "categorical", "encoding": "identity", "buckets": 5, **_INDICATOR},
        (0, 4, 2),
        invalid=((5, "not_an_id"), (-1, "not_an_id")),
        encoders=({"kind": "one_hot"},),
    ),
    Case(
        "tags",
        {"kind": "categorical", "length": 3},
        (["a", "b"], ["c"], ["a", "b", "c", "d"]),
        encoders=({"kind": "embedding"}, {"kind": "one_hot"}),
    ),
    *(
        Case(
            scale,
            {"kind": "numeric", "scale": scale},
            _NUMBERS,
            ((math.inf, "not_finite"),),
            encoders=({"kind": "dense"},),
        )
        for scale in ("z_score", "min_max", "log", "quantile", "bucketize", "none")
    ),
    Case(
        "clipped",
        {"kind": "numeric", "clip": 1.0, "missing": "missing_indicator"},
        _NUMBERS,
        encoders=({"kind": "dense", "units": [4]},),
    ),
    Case(
        "vector",
        {"kind": "numeric", "length": 2, "missing": "missing_indicator"},
        ([1.0, 2.0], [3.0, 5.0]),
        invalid=(([1.0], "length_is_not_2"),),
        encoders=({"kind": "piecewise", "units": 2}, {"kind": "dense", "units": [4]}),
    ),
    Case(
        "time",
        {"kind": "datetime", **_INDICATOR},
        ("2026-01-31", "2024-02-29T05:00Z", "2025-07-01 05:00:00.123+01:00", "0009-12-31T23:59"),
        invalid=(("2026-02-30", "not_a_datetime"), ("soon", "not_a_datetime")),
        encoders=({"kind": "piecewise", "units": 2}, {"kind": "dense", "units": [4]}),
    ),
    Case(
        "spelt",
        {"kind": "datetime", "format": "%d/%m/%Y %I:%M %p", **_INDICATOR},
        ("31/01/2026 5:00 AM", "29/02/2024 12:30 pm", "1/7/2025 12:00 AM"),
        invalid=(("30/02/2026 5:00 AM", "not_a_datetime"), ("1/31/2026 5:00 AM", "not_a_datetime")),
    ),
    Case(
        "zoned",
        {"kind": "datetime", "parts": ["day_of_week", "trend"]},
        tuple(datetime(2026, 1, day, 5, 6, 7, tzinfo=UTC) for day in (1, 9, 31)),
        type_=pa.timestamp("ns", "Europe/Brussels"),
    ),
    Case(
        "day",
        {"kind": "datetime", "parts": ["day_of_month"]},
        tuple(date(2026, month, 28) for month in (1, 2, 12)),
    ),
    Case(
        "sentence",
        {"kind": "text", "length": 4, "ngrams": 1, "weights": None},
        _SENTENCES,
        encoders=(
            _COUNTS,
            _TERMS,
            {"kind": "embedding"},
            {"kind": "lstm", "units": 4},
            {"kind": "lstm", "units": 4, "bidirectional": True},
            {"kind": "gru", "units": 4},
            {"kind": "conv1d", "filters": 4},
            _TRANSFORMER,
        ),
    ),
    Case(
        "letters",
        {"kind": "text", "length": 12, "level": "characters", "ngrams": 2, "weights": None},
        _SENTENCES,
        encoders=(_COUNTS,),
    ),
    Case(
        "weighed",
        {"kind": "text", "length": 6, "ngrams": 2, "weights": "tf_idf"},
        _SENTENCES,
        encoders=(_COUNTS, _TERMS),
    ),
    Case(
        "photo",
        {"kind": "image", "height": SIDE, "width": SIDE},
        tuple(picture(i, 40) for i in range(4)),
        invalid=((b"no picture", "undecodable_image"), (picture(1)[:60], "undecodable_image")),
        encoders=(
            {"kind": "cnn", "filters": [4, 4], "units": 4},
            {"kind": "resnet", "units": 4},
            {"kind": "mobilenet", "units": 4},
        ),
    ),
    Case(
        "gray",
        {"kind": "image", "height": 9, "width": 7, "channels": 1, "storage": "jpeg"},
        tuple(picture(i, 9, "L", "JPEG") for i in range(4)),
    ),
    Case(
        "cutout",
        {"kind": "image", "height": 8, "width": 8, "channels": 4, "storage": "png"},
        tuple(picture(i, 8, "RGBA") for i in range(4)),
    ),
    Case(
        "pasted",
        {"kind": "image", "height": 6, "width": 8, "background": [255, 0, 9]},
        tuple(picture(i, 8, "RGBA") for i in range(4)),
    ),
    Case(
        "series",
        {"kind": "sequence", "length": 6},
        _SERIES,
        invalid=(([1.0], "length_is_not_6"), ([math.inf] * 6, "not_finite")),
        encoders=(
            {"kind": "signal", "kernels": 5, "filters": [], "units": 3},
            {"kind": "lstm", "units": 4},
            {"kind": "gru", "units": 4, "bidirectional": True},
            {"kind": "conv1d", "filters": [4, 4]},
            _TRANSFORMER,
        ),
    ),
    Case(
        "signal",
        {"kind": "sequence", "length": 8, "channels": 2, "variable": True},
        (*_PAIRS, _PAIRS[0][:2], [[1.0, None]]),
        encoders=(
            {"kind": "signal", "kernels": 5, "filters": [4, 6], "units": 3},
            {"kind": "lstm", "units": 4},
            {"kind": "gru", "units": 4},
            {"kind": "conv1d", "filters": [4, 4]},
            _TRANSFORMER,
        ),
    ),
    Case("chance", {"kind": "noise", "dimension": 3}, encoders=({"kind": "dense", "units": [4]},)),
    # A kind of a user's own, which no package of ours knows.
    Case(
        "wind",
        {"kind": "tests.user_kinds.angle", "missing": "missing_indicator"},
        (0.0, 90.0, 359.0, 45.0),
        invalid=((math.inf, "not_finite"),),
    ),
    # One that has no number for some values.
    Case(
        "depth_log",
        {"kind": "tests.user_kinds.logarithm", **_INDICATOR},
        (1.0, 10.0, 200.0, 4_000.0),
        invalid=((0.0, "not_encodable"), (-1.0, "not_encodable"), (math.inf, "not_finite")),
    ),
)

TARGETS = (
    Case("sold", {"kind": "binary"}, (True, False, True), ((None, "missing"),), type_=pa.bool_()),
    Case("group", {"kind": "multiclass"}, ("a", "b", "c"), (("new", "unknown_label"),)),
    Case(
        "labels",
        {"kind": "multilabel", "length": 2},
        (["x"], ["x", "y"], []),
        ((["x", "y", "x"], "more_than_2_labels"),),
        type_=pa.list_(pa.string()),
    ),
    Case("price", {"kind": "numeric"}, _NUMBERS, ((math.inf, "not_finite"),)),
    *(
        Case(f"price_{scale}", {"kind": "numeric", "scale": scale}, _NUMBERS)
        for scale in ("z_score", "log", "quantile", "none")
    ),
    # So skewed that the log is proposed.
    Case("income", {"kind": "numeric"}, (*_HOLDINGS, 30_000.0)),
    Case("pair", {"kind": "numeric", "length": 2}, ([1.0, 2.0], [3.0, 5.0])),
    Case(
        "pair_quantile",
        {"kind": "numeric", "length": 2, "scale": "quantile"},
        ([1.0, 0.0], [3.0, 500.0], [2.0, 500.0]),
    ),
    Case("ahead", {"kind": "sequence", "length": 6}, _SERIES),
    Case(
        "pairs_log",
        {"kind": "sequence", "length": 6, "channels": 2, "scale": "log"},
        _PAIRS,
    ),
    Case(
        "mask",
        {"kind": "image", "content": "binary_mask", "height": 8, "width": 8},
        tuple(picture(i, 8, "L") for i in range(4)),
        ((b"no picture", "undecodable_image"),),
    ),
    Case(
        "parts",
        {"kind": "image", "content": "class_mask", "classes": 256, "height": 8, "width": 8},
        tuple(picture(i, 8, "L") for i in range(4)),
    ),
    Case(
        "depth",
        {"kind": "image", "content": "continuous", "height": 8, "width": 8, "missing": "mask"},
        tuple(picture(i, 8, "L") for i in range(4)),
    ),
    Case(
        "outline",
        {"kind": "image", "content": "binary_mask", "source_channel": "alpha"}
        | {"height": 9, "width": 7, "storage": "png", "loss": "crossentropy_dice"},
        tuple(picture(i, 9, "RGBA") for i in range(4)),
        ((picture(1, 9, "RGBA")[:50], "undecodable_image"),),
    ),
    Case(
        "colors",
        {"kind": "image", "content": "continuous", "height": 5, "width": 6, "channels": 3}
        | {"activation": "linear", "loss": "mae"},
        tuple(picture(i, 9) for i in range(4)),
    ),
)
