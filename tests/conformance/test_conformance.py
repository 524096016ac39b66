"""Every kind and every encoder: shapes, missing and invalid values, empty batches, saving, parity.

What is tested is what `tests.cases` lists.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from flows.prediction.predict import score_table
from tests.cases import FEATURES, TARGETS
from tests.support.conformance import (
    ROWS,
    Case,
    Transformed,
    branches_of,
    joint_network,
    transform_cases,
)
from tests.support.jobs import output_of
from trainer.data.shards import shard_files
from trainer.data.stream import BatchLayout, evaluation_batches, raw_batches
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import export, forward, parse_examples
from trainer.export.serving import check, load
from trainer.network.heads import head_of
from trainer.run_folder import EXPORT_FOLDER
from trainer.training.training import train
from transforms.contract.columns.kinds import is_user_kind
from transforms.contract.network.encoders import ENCODERS_BY_FEATURE_KIND
from transforms.contract.steps.results import CheckResult
from transforms.kinds.features import FEATURE_KINDS
from transforms.kinds.targets import TARGET_KINDS

COLUMNS = [case for case in FEATURES if case.values]
BRANCHES = branches_of(FEATURES)


@pytest.fixture(scope="module")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    return transform_cases(FEATURES, TARGETS, tmp_path_factory.mktemp("conformance"))


@pytest.fixture(scope="module")
def test_rows(transformed: Transformed, tmp_path_factory) -> Any:
    """The test rows as (inputs, targets, weights); the last one has no value at all."""
    job = transformed.train_job(tmp_path_factory.mktemp("run"))
    layout = BatchLayout.for_evaluation(job.pipeline, job.manifest())
    (batch,) = evaluation_batches(shard_files(job, "test"), layout, ROWS)
    return batch


def test_every_kind_and_every_encoder_is_listed() -> None:
    features = {case.declaration["kind"] for case in FEATURES}
    assert {kind for kind in features if not is_user_kind(kind)} == {*FEATURE_KINDS, "noise"}
    assert any(is_user_kind(kind) for kind in features)
    assert {case.declaration["kind"] for case in TARGETS} == set(TARGET_KINDS)
    listed = {
        (case.declaration["kind"], encoder["kind"])
        for case in FEATURES
        for encoder in case.encoders
    }
    defaults = {(kind, ENCODERS_BY_FEATURE_KIND[kind][0]().kind) for kind in FEATURE_KINDS}
    assert listed | defaults >= {
        (kind, encoder.model_fields["kind"].default)
        for kind, encoders in ENCODERS_BY_FEATURE_KIND.items()
        for encoder in encoders
    }


@pytest.mark.parametrize("case", FEATURES, ids=lambda case: case.name)
def test_shards_hold_what_the_declaration_says(case: Case, transformed, test_rows) -> None:
    inputs, _, _ = test_rows
    feature = transformed.pipeline.features[case.name]
    dtype, shape = feature.layout()
    values = inputs[case.name].numpy()
    assert values.dtype == dtype
    assert values.shape == (7, *shape)
    padded = getattr(feature, "variable", False)
    assert padded or np.isfinite(values).all()
    if feature.has_indicator:
        assert inputs[f"{case.name}__missing"].numpy().tolist() == [0.0] * 6 + [1.0]


@pytest.mark.parametrize(
    ("target", "curve"), [("price", "linear"), ("income", "log"), ("price_quantile", "quantile")]
)
def test_a_target_is_learnt_on_its_scale_and_served_in_its_unit(
    target: str, curve: str, transformed, test_rows
) -> None:
    statistics = transformed.frozen().targets[target]
    assert statistics.curve == curve
    head = head_of(transformed.pipeline.targets[target])
    (case,) = (case for case in TARGETS if case.name == target)
    learnt = test_rows[1][target]
    expected = [case.values[i % len(case.values)] for i in range(ROWS - 6, ROWS)] + [case.values[0]]
    assert np.abs(learnt).max() < 4
    served = head.serve(target, statistics, learnt)[target].numpy()
    assert served == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_shards_and_serving_agree_on_every_feature(transformed, test_rows, tmp_path) -> None:
    job = transformed.train_job(tmp_path)
    manifest = job.manifest()
    graph = tf.saved_model.load(str(job.folders().transform(job.transform) / "graph"))
    (records,) = raw_batches(shard_files(job, "test", "raw"), ROWS)
    raw = parse_examples(records, manifest.raw_inputs())
    served = graph.transform_features({c.name: raw[c.name] for c in manifest.raw_inputs()})
    inputs, _, _ = test_rows
    compared = [s for s in manifest.inputs() if s.storage not in ("drawn", "jpeg")]
    assert len(compared) > len(COLUMNS)
    for stored in compared:
        np.testing.assert_allclose(
            served[stored.name], inputs[stored.name], rtol=1e-6, err_msg=stored.name
        )


def test_a_value_that_cannot_be_used_costs_its_row_and_says_why(transformed) -> None:
    expected = {(case.name, reason) for case in (*FEATURES, *TARGETS) for _, reason in case.invalid}
    reasons = {(reject.column, reject.reason) for reject in transformed.manifest.rejects}
    assert reasons == expected
    rows = sum(len(case.invalid) for case in (*FEATURES, *TARGETS))
    assert sum(reject.rows for reject in transformed.manifest.rejects) == rows


@pytest.fixture(scope="module")
def answers(transformed: Transformed, test_rows: Any, tmp_path_factory) -> dict[str, Any]:
    """The answers of every branch for the test rows, the last one alone, none, and saved."""
    folder = tmp_path_factory.mktemp("branches")
    job = transformed.train_job(folder)
    keras.utils.set_random_seed(1)
    model = joint_network(job.pipeline, job.manifest(), BRANCHES)
    inputs = {name: test_rows[0][name] for name in model.input}
    model.save(folder / "model.keras")
    again = keras.models.load_model(folder / "model.keras")
    return {
        "all": model(inputs, training=False),
        "last": model({name: tensor[-1:] for name, tensor in inputs.items()}, training=False),
        "none": forward(model, {name: tensor[:0] for name, tensor in inputs.items()}).outputs,
        "saved": again(inputs, training=False),
    }


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_is_finite_for_any_rows_and_is_saved(branch: str, answers: Any) -> None:
    output = answers["all"][branch].numpy()
    assert output.shape == (7, 1)
    assert np.isfinite(output).all()
    np.testing.assert_allclose(answers["last"][branch], output[-1:], rtol=1e-4, atol=1e-5)
    assert answers["none"][branch].shape == (0, 1)
    np.testing.assert_allclose(answers["saved"][branch], output, rtol=1e-5, atol=1e-6)


def test_all_kinds_together_train_export_and_answer_alike(transformed, tmp_path) -> None:
    job = transformed.train_job(tmp_path)
    train(job)
    export(job)
    result = evaluate(job)
    assert result.parity < 1e-4
    declared = {f"test_{t}_{m}" for t, spec in job.pipeline.targets.items() for m in spec.metrics}
    assert declared <= set(result.metrics)
    assert check(job) == CheckResult()
    scorer = load(tmp_path / EXPORT_FOLDER)
    nothing = scorer.score({"z_score": np.zeros(0, np.float32)})
    assert {case.name for case in TARGETS} <= set(nothing)
    assert all(len(values) == 0 for values in nothing.values())
    source, output = Path(job.pipeline.source.path) / "rows.parquet", tmp_path / "scores.parquet"
    scored = score_table(scorer, source, output, lambda rows: None)
    rows = {row["id"]: row for row in pq.read_table(output).to_pylist()}
    # A row with an invalid value has the column and the reason as its key.
    costs = {f"{case.name}: {reason}" for case in FEATURES for _, reason in case.invalid}
    assert {key: row["error"] for key, row in rows.items() if row["error"]} == {k: k for k in costs}
    assert all((row["error"] is None) == (row["price"] is not None) for row in rows.values())
    rejects = Counter({f"{r.column}: {r.reason}": r.rows for r in transformed.manifest.rejects})
    assert scored.reasons == {reason: rejects[reason] for reason in costs}


@pytest.mark.timeout(900)
def test_two_devices_learn_what_one_does(transformed, tmp_path) -> None:
    output = output_of("tests.support.two_devices", transformed.train_job(tmp_path), tmp_path)
    assert {line.split()[0] for line in output.splitlines()} >= set(BRANCHES)
