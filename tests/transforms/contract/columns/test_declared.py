from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from transforms.contract.columns.kinds import Feature
from transforms.contract.columns.targets import Target
from transforms.contract.network.encoders import ENCODERS_BY_FEATURE_KIND, Encoder

MASK = {"kind": "image", "content": "binary_mask", "height": 4, "width": 6}


def feature(kind, **settings):
    return TypeAdapter(Feature).validate_python({"kind": kind, **settings})


def target(**settings):
    return TypeAdapter(Target).validate_python(settings)


def encoder(kind, **settings):
    return TypeAdapter(Encoder).validate_python({"kind": kind, **settings})


@pytest.mark.parametrize(
    ("spec", "has_statistics"),
    [
        (feature("numeric"), True),
        (feature("text"), True),
        (feature("tests.user_kinds.angle"), True),
        (feature("categorical"), True),
        (feature("categorical", encoding="hash", buckets=3), False),
        (feature("datetime", parts=("trend",)), True),
        (feature("datetime", parts=("day_of_week",)), False),
        (feature("image", height=4, width=6), False),
        (feature("noise", dimension=2), False),
        (target(kind="multiclass"), True),
        (target(**MASK), False),
    ],
)
def test_a_kind_says_whether_a_transform_freezes_statistics_of_it(spec, has_statistics):
    assert spec.has_statistics is has_statistics


def test_pictures_alone_say_how_large_they_are():
    assert feature("image", height=4, width=6).picture_size == (4, 6)
    assert target(**MASK).picture_size == (4, 6)
    others = [feature("numeric"), feature("noise", dimension=2), target(kind="numeric")]
    assert [spec.picture_size for spec in others] == [None] * 3


def test_ids_mean_the_same_where_nothing_was_learnt_and_the_encodings_agree():
    words, hashed = feature("categorical"), feature("categorical", encoding="hash", buckets=3)
    numbers = feature("categorical", encoding="identity", buckets=3)
    assert hashed.ids_mean_as_in(hashed)
    assert not words.ids_mean_as_in(words)
    assert not hashed.ids_mean_as_in(numbers)
    assert not feature("text").ids_mean_as_in(feature("text"))
    assert feature("numeric").ids_mean_as_in(feature("numeric"))


def test_a_target_says_what_its_labels_are():
    by_kind = {
        "binary": target(kind="binary", class_weights="balanced"),
        "multiclass": target(kind="multiclass"),
        "multilabel": target(kind="multilabel"),
        "numeric": target(kind="numeric"),
        "mask": target(**MASK),
        "classes": target(**MASK | {"content": "class_mask", "classes": 3}),
        "depth": target(**MASK | {"content": "continuous"}),
    }

    def those(said):
        return {name for name, spec in by_kind.items() if said(spec)}

    assert those(lambda spec: spec.has_classes) == {"multiclass", "multilabel"}
    assert those(lambda spec: spec.fewest_labels == 2) == {"binary", "multiclass"}
    assert those(lambda spec: spec.fixed_labels) == {"binary"}
    assert those(lambda spec: spec.learns_numbers) == {"numeric"}
    assert those(lambda spec: spec.is_mask) == {"mask", "classes"}
    assert those(lambda spec: spec.has_pixel_values) == {"mask", "depth"}
    assert those(lambda spec: spec.weights_of_classes is not None) == {"binary"}


def test_what_a_kind_says_is_none_of_its_settings():
    spec = feature("image", height=4, width=6)
    assert {"picture_size", "has_statistics"}.isdisjoint(spec.model_dump())
    assert {"is_mask", "has_classes"}.isdisjoint(target(**MASK).model_dump())


def test_an_encoder_says_whose_it_is_and_what_it_reads():
    assert encoder("shared", **{"with": "photo"}).shares_with == "photo"
    assert encoder("custom", builder="mine:build").user_function == "mine:build"
    assert encoder("cnn", filters=(4, 8)).poolings == 2
    assert encoder("resnet").smallest_side == 32
    plain = encoder("embedding")
    assert (plain.shares_with, plain.user_function, plain.poolings) == (None, None, None)
    reading_weights = {e for es in ENCODERS_BY_FEATURE_KIND.values() for e in es}
    assert {e.__name__ for e in reading_weights if e.reads_term_weights} == {"BagOfWordsEncoder"}
