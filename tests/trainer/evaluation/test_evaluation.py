from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.world import DECLARATION, pipeline_of
from trainer.data.shards import shard_files
from trainer.evaluation.champion import NotComparableError, reordered, score_champion
from trainer.evaluation.evaluation import evaluate
from trainer.evaluation.parity import largest_difference
from trainer.export.serving import load
from trainer.export.trained import load_model, predictor
from trainer.registry.gate import decide
from transforms.contract.declaration.judgement.gate import GateSpec
from transforms.contract.errors import BraidError
from transforms.contract.steps.evaluation import read_evaluation
from transforms.contract.workspace.manifest import TargetStatistics


def test_the_result_has_every_declared_metric(trainer_run):
    result = trainer_run.results["evaluate"]
    assert set(result.metrics) == set(trainer_run.job.pipeline.metric_names())
    assert result.champion_metrics is None
    assert result.champion_problem is None
    assert result.rows == sum(
        file.shard.rows
        for split in ("validation", "test")
        for file in shard_files(trainer_run.job, split)
    )
    assert 0 <= result.parity < 1e-4
    assert set(result.figures) == {"sold", "group", "cost"}
    assert len(result.warnings) == 4


def test_the_constant_answer_and_a_linear_model_are_scored_on_the_same_rows(trainer_run):
    result = trainer_run.results["evaluate"]
    names = set(trainer_run.job.pipeline.metric_names())
    assert {answer: set(metrics) for answer, metrics in result.baselines.scored().items()} == {
        "constant": names,
        "linear": names,
    }
    # Of the 17 test rows 13 are not sold, and 4 of the 13 with a group are in the largest.
    constant = result.baselines.constant
    assert constant["test_sold_accuracy"] == pytest.approx(13 / 17)
    assert constant["test_sold_auc"] == 0.5
    assert constant["test_group_accuracy"] == pytest.approx(4 / 13)


def test_a_model_is_told_when_a_linear_one_is_better_and_rows_are_few(trainer_run):
    *worse, few = trainer_run.results["evaluate"].warnings
    for sentence, metric in zip(worse, ("sold_auc", "group_accuracy", "cost_mae"), strict=True):
        assert sentence.startswith(f"test_{metric} ")
        assert "is worse than the linear model's" in sentence
    assert few.startswith("Validation has 17 rows: a validation_sold_accuracy of 0.")


def test_a_model_that_only_answers_the_larger_class_is_refused(trainer_run, monkeypatch):
    job = trainer_run.job.model_copy(update={"champion": "another"})
    honest = predictor(job.pipeline, job.manifest(), Path(job.run_folder))

    def larger_class(inputs):
        answers = honest(inputs)
        return answers | {"group": np.tile(np.float32([0.3, 0.4, 0.3]), (len(answers["group"]), 1))}

    def without_champion(*_):
        raise NotComparableError("it is gone")

    monkeypatch.setattr("trainer.evaluation.evaluation.predictor", lambda *_: larger_class)
    monkeypatch.setattr("trainer.evaluation.evaluation.score_champion", without_champion)
    monkeypatch.setattr("trainer.evaluation.evaluation.largest_difference", lambda *_: 0.0)
    monkeypatch.setattr("trainer.evaluation.evaluation.write_atomic", lambda *_: None)
    result = evaluate(job)
    decision = decide(
        [GateSpec(metric="test_group_accuracy", compare=False)],
        result.metrics,
        None,
        constant_metrics=result.baselines.constant,
    )
    assert not decision.passed
    assert decision.reasons[0] == (
        "test_group_accuracy 0.3077 is not better than the constant answer's 0.3077."
    )


def test_an_evaluation_of_an_older_version_is_made_again(trainer_run, run_folder):
    path = run_folder / "evaluation.json"
    whole = path.read_text()
    older = json.loads(whole) | {"declared": None, "baselines": {}}
    path.write_text(json.dumps(older))
    try:
        assert evaluate(trainer_run.job).baselines.constant["test_sold_auc"] == 0.5
    finally:
        path.write_text(whole)


def test_an_evaluation_is_made_once_per_champion(trainer_run, run_folder, monkeypatch):
    stored = read_evaluation(run_folder)
    monkeypatch.setattr("trainer.evaluation.evaluation.predictor", None)
    assert evaluate(trainer_run.job) == stored


def test_a_model_as_its_own_champion_has_the_same_test_metrics(trainer_run):
    job = trainer_run.job
    champion = score_champion(
        trainer_run.results["export"].folder,
        job.pipeline,
        job.manifest(),
        shard_files(job, "test", "raw"),
        7,
    )
    own = {n: v for n, v in trainer_run.results["evaluate"].metrics.items() if "test_" in n}
    assert champion == pytest.approx(own, rel=1e-4)


@pytest.fixture
def relabelled(trainer_run):
    """The run's job under a transform with other class ids and another scale of the same truths.

    Only the truths change, as they do for a champion of an older transform.
    """
    manifest = trainer_run.job.manifest()
    targets = manifest.targets | {
        "group": TargetStatistics(labels=("c", "b", "a"), counts=(1, 1, 1)),
        "cost": TargetStatistics(mean=(0.0,), scale=(5.0,)),
    }
    return manifest.model_copy(update={"targets": targets})


def test_a_champion_is_compared_by_label_and_by_unit(trainer_run, relabelled, monkeypatch):
    from trainer.evaluation import champion

    job, manifest = trainer_run.job, trainer_run.job.manifest()
    original = champion._labels

    def labels(records, stored):
        truths, weights = original(records, stored)
        names = [manifest.targets["group"].labels[index] for index in truths["group"]]
        ids = [relabelled.targets["group"].labels.index(name) for name in names]
        cost = (truths["cost"] * 10.0 + 50.0) / 5.0
        return truths | {"group": np.array(ids), "cost": cost.astype(np.float32)}, weights

    monkeypatch.setattr(champion, "_labels", labels)
    folder = trainer_run.results["export"].folder
    files = shard_files(job, "test", "raw")
    metrics = score_champion(folder, job.pipeline, relabelled, files, 50)
    own = trainer_run.results["evaluate"].metrics
    for name in ("test_group_accuracy", "test_cost_mae", "test_cost_rmse", "test_sold_auc"):
        assert metrics[name] == pytest.approx(own[name], rel=1e-4)


def test_probabilities_are_reordered_by_label():
    given = np.array([[0.1, 0.2, 0.7]])
    assert reordered(given, ["x", "y", "z"], ["z", "x", "y"]).tolist() == [[0.7, 0.1, 0.2]]
    # "new" was never learnt; "z" is no class any more, but choosing it is still a mistake.
    assert reordered(given, ["x", "y", "z"], ["new", "x", "y"]).tolist() == [[0.0, 0.1, 0.2, 0.7]]


def test_a_champion_without_a_target_is_compared_on_the_others(trainer_run):
    targets = DECLARATION["targets"] | {"sold": {"kind": "multiclass"}}
    pipeline = pipeline_of(targets=targets)
    job = trainer_run.job
    metrics = score_champion(
        trainer_run.results["export"].folder,
        pipeline,
        job.manifest(),
        shard_files(job, "test", "raw"),
        50,
    )
    assert "test_cost_mae" in metrics
    assert not [name for name in metrics if "sold" in name or name == "test_loss"]


def test_a_champion_is_scored_when_the_job_names_one(trainer_run):
    champion = trainer_run.results["export"].folder
    result = evaluate(trainer_run.job.model_copy(update={"champion": champion}))
    assert result.champion_metrics["test_loss"] == pytest.approx(
        result.metrics["test_loss"], rel=1e-4
    )
    assert result.champion == champion
    low, high = result.test.differences["test_loss"].interval(0.95)
    assert abs(low) + abs(high) < 1e-4, "it is the same model on the same rows"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (None, "it takes the column 'sizes', which no feature reads"),
        ({"shape": (3,)}, "column 'sizes' as 2 x float32, which is read as 3 x float32"),
        ({"dtype": "string"}, "it takes the column 'sizes' as 2 x float32, which is read as 2 x s"),
    ],
)
def test_a_champion_is_not_scored_on_rows_that_lack_what_it_takes(trainer_run, change, problem):
    job, manifest = trainer_run.job, trainer_run.job.manifest()
    raws = dict(manifest.raw_features)
    sizes = raws.pop("sizes")
    if change is not None:
        raws["sizes"] = sizes.model_copy(update=change)
    newer = manifest.model_copy(update={"raw_features": raws})
    folder, files = trainer_run.results["export"].folder, shard_files(job, "test", "raw")
    with pytest.raises(NotComparableError, match=problem):
        score_champion(folder, job.pipeline, newer, files, 50)
    with pytest.raises(NotComparableError, match="there are no test rows"):
        score_champion(folder, job.pipeline, manifest, [], 50)


def test_the_result_says_why_a_champion_could_not_be_scored(trainer_run, monkeypatch):
    def refuse(*_):
        raise NotComparableError("its column is gone")

    monkeypatch.setattr("trainer.evaluation.evaluation.score_champion", refuse)
    result = evaluate(trainer_run.job.model_copy(update={"champion": "elsewhere"}))
    assert result.champion_metrics is None
    assert result.champion_problem == "its column is gone"


def test_an_export_that_answers_otherwise_is_refused(trainer_run):
    job, manifest = trainer_run.job, trainer_run.job.manifest()
    honest = predictor(job.pipeline, manifest, Path(job.run_folder))

    def skewed(inputs):
        answers = honest(inputs)
        return answers | {"cost": answers["cost"] + 0.01 * (np.arange(len(answers["cost"])) == 3)}

    export = load(trainer_run.results["export"].folder)
    stored, raw = shard_files(job, "test"), shard_files(job, "test", "raw")
    assert largest_difference(job.pipeline, manifest, honest, export, stored, raw) < 1e-4
    with pytest.raises(BraidError, match="the export's 'cost' for test row 3"):
        largest_difference(job.pipeline, manifest, skewed, export, stored, raw)
    with pytest.raises(BraidError, match="raw test rows beside the stored ones"):
        largest_difference(job.pipeline, manifest, honest, export, stored, raw[:1])


def test_the_loaded_model_has_the_trained_weights(trainer_run, run_folder):
    import keras

    loaded = load_model(trainer_run.job.pipeline, trainer_run.job.manifest(), run_folder)
    trained = keras.models.load_model(run_folder / "model.keras")
    for ours, theirs in zip(loaded.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_worst_rows_are_shown_with_what_the_model_saw_and_said(trainer_run):
    worst = trainer_run.results["evaluate"].worst
    losses = [row.loss for row in worst]
    assert losses == sorted(losses, reverse=True)
    assert len(worst) == 10
    assert set(worst[0].values) == {"color", "unit price", "sizes", "band", "review"}
    assert set(worst[0].pictures) == {"photo"}
    assert set(worst[0].answers) == {"sold", "group", "cost"}
    truth, said = worst[0].answers["sold"]
    assert truth in ("yes", "no")
    assert said.startswith(("yes (0.", "no (0."))


def test_the_loss_is_resampled_and_has_the_evaluations_own_value_within_its_interval(trainer_run):
    result = trainer_run.results["evaluate"]
    assert result.test.metrics["test_loss"] == pytest.approx(result.metrics["test_loss"], rel=1e-5)
    low, high = result.intervals()["test_loss"]
    assert low < result.metrics["test_loss"] < high


def test_what_says_most_is_most_important(trainer_run):
    # The color alone says whether it is sold.
    importance = trainer_run.results["evaluate"].importance
    assert {each.column for each in importance} == {
        "color", "unit price", "sizes", "band", "review", "photo"
    }  # fmt: skip
    assert [each.loss for each in importance] == sorted(
        (each.loss for each in importance), reverse=True
    )


def test_nothing_is_shown_of_sensitive_columns(trainer_run):
    from trainer.evaluation.worst_rows import worst_rows

    job = trainer_run.job
    hidden = {
        "color": {"kind": "categorical", "sensitive": True},
        "photo": {"kind": "image", "height": 8, "width": 8, "sensitive": True},
    }
    targets = DECLARATION["targets"] | {"cost": {"kind": "numeric", "sensitive": True}}
    pipeline = pipeline_of(features=DECLARATION["features"] | hidden, targets=targets)
    predict = predictor(pipeline, job.manifest(), Path(job.run_folder))
    files = (shard_files(job, "test"), shard_files(job, "test", "raw"))
    (row, *_) = worst_rows(pipeline, job.manifest(), predict, np.arange(17.0), files, 7)
    assert row.loss == 16
    assert set(row.values) == {"unit price", "sizes", "band", "review"}
    assert not row.pictures
    assert set(row.answers) == {"sold", "group"}
