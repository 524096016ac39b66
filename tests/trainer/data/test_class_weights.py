from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.world import manifest_of, pipeline_of
from trainer.data.class_weights import class_weights
from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.manifest import TargetStatistics


def weights_of(declared, kind="multiclass", name="group", counts=None):
    pipeline = pipeline_of(targets={name: {"kind": kind, "class_weights": declared}})
    manifest = manifest_of(pipeline_of())
    if counts is not None:
        statistics = TargetStatistics(labels=tuple(map(str, range(len(counts)))), counts=counts)
        manifest = manifest.model_copy(update={"targets": {name: statistics}})
    return class_weights(pipeline, manifest)


def test_declared_weights_are_by_label_and_others_weigh_1():
    assert weights_of({"a": 3.0}) == {"group": (1.0, 3.0, 1.0)}  # the classes are b, a, c


def test_an_unknown_label_is_refused():
    with pytest.raises(DeclarationError, match=r"targets.group.class_weights: .* b, a, c.* 'z'"):
        weights_of({"z": 3.0})


def test_targets_without_weights_are_not_listed():
    assert class_weights(pipeline_of(), manifest_of(pipeline_of())) == {}


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=8))
def test_balanced_classes_have_equal_total_weight(counts):
    (weights,) = weights_of("balanced", counts=tuple(counts)).values()
    totals = [weight * count for weight, count in zip(weights, counts, strict=True)]
    assert totals == pytest.approx([sum(counts) / len(counts)] * len(counts))


def test_a_class_without_training_rows_does_not_divide_by_0():
    assert weights_of("balanced", counts=(4, 0)) == {"group": (0.5, 1.0)}


def test_labels_of_a_sensitive_target_are_not_listed():
    target = {"kind": "multiclass", "class_weights": {"z": 1.0}, "sensitive": True}
    pipeline = pipeline_of(targets={"group": target})
    with pytest.raises(DeclarationError, match="labels of the training rows, received 'z'"):
        class_weights(pipeline, manifest_of(pipeline))
