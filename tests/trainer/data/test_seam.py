from __future__ import annotations

import pytest

from tests.trainer.world import DECLARATION, STORED, manifest_of, pipeline_of
from trainer.data.seam import check_seam
from transforms.contract.errors import BraidError


def manifest_with(stored):
    return manifest_of(pipeline_of()).model_copy(update={"stored": tuple(stored)})


def test_matching_declaration_and_shards_pass():
    check_seam(pipeline_of(), manifest_of(pipeline_of()))


def test_another_shape_is_named_with_what_to_do():
    features = DECLARATION["features"] | {"review": {"kind": "text", "length": 9}}
    with pytest.raises(BraidError) as caught:
        check_seam(pipeline_of(features=features), manifest_of(pipeline_of()))
    assert caught.value.place == "'review' in the shards of transform f00d"
    assert caught.value.expected == "a feature of int64 [9]"
    assert caught.value.received == "a feature of int64 [4]"
    assert "run the transform step again" in caught.value.action


def test_a_list_of_categories_is_expected_with_its_length():
    features = DECLARATION["features"] | {"color": {"kind": "categorical", "length": 3}}
    with pytest.raises(BraidError, match=r"expected a feature of int64 \[3\], received .* \[\]"):
        check_seam(pipeline_of(features=features), manifest_of(pipeline_of()))


def test_a_rank_is_a_number():
    features = DECLARATION["features"] | {"band": {"kind": "numeric", "scale": "quantile"}}
    with pytest.raises(BraidError, match=r"'band' .* expected a feature of float32"):
        check_seam(pipeline_of(features=features), manifest_of(pipeline_of()))


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (STORED[1:], "'color' .* expected a feature of int64 .* received nothing"),
        (
            (*STORED, STORED[0].model_copy(update={"name": "extra"})),
            "'extra' .* expected no such feature",
        ),
        (
            (STORED[0].model_copy(update={"cardinality": None}), *STORED[1:]),
            "'color' .* expected a number of ids, received none",
        ),
        (
            tuple(
                s.model_copy(update={"cardinality": 9}) if s.name == "group" else s for s in STORED
            ),
            "'group' .* expected 3 classes, received 9",
        ),
    ],
)
def test_other_mismatches_are_refused(stored, words):
    with pytest.raises(BraidError, match=words):
        check_seam(pipeline_of(), manifest_with(stored))
