from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.trainer.interrupted import train_until
from tests.trainer.logged_training import log_batches
from tests.trainer.world import pipeline_of, split_of, training_with
from trainer.data.augment import Augmenter
from trainer.data.shards import shard_files
from trainer.data.stream import BatchLayout, training_batches
from trainer.recipe import recipe_of
from trainer.training import epoch
from trainer.training.checkpoint import Checkpoints, Position
from trainer.training.epoch import EpochData, EpochRunner
from trainer.training.objectives import trainable
from trainer.training.training import train
from transforms.contract.errors import BraidError
from transforms.contract.steps.results import CheckResult
from transforms.contract.workspace.layout import Workspace

EPOCHS = 25


@pytest.fixture(scope="module")
def long_pipeline():
    # Without patience the last epoch's weights are the model's: they depend on every step.
    return pipeline_of(training=training_with(epochs=EPOCHS, early_stopping_patience=None))


@pytest.fixture(scope="module")
def undisturbed(trainer_world, long_pipeline):
    job = trainer_world.job("undisturbed", long_pipeline)
    train(job)
    return outcome(job)


def outcome(job):
    folder = Path(job.run_folder)
    history = json.loads((folder / "history.json").read_text())["epochs"]
    weights = keras.models.load_model(folder / "model.keras").get_weights()
    return [(e["loss"], e["losses"], e["validation_loss"]) for e in history], weights


def assert_same(outcome_of_one, wanted):
    assert outcome_of_one[0] == wanted[0]
    assert all(np.array_equal(a, b) for a, b in zip(outcome_of_one[1], wanted[1], strict=True))


def test_training_learns_and_records_every_epoch(trainer_run, run_folder):
    history = json.loads((run_folder / "history.json").read_text())["epochs"]
    assert [e["epoch"] for e in history] == [0, 1, 2]
    assert history[-1]["loss"] < history[0]["loss"]
    assert all(0 <= e["input_wait_share"] <= 1 and e["rows_per_second"] > 0 for e in history)
    assert set(history[0]["losses"]) == {"sold_loss", "group_loss", "cost_loss"}
    result = trainer_run.results["train"]
    assert result.epochs == 3
    assert result.parameters == 884
    assert result.warnings == ()


def test_a_trained_run_is_not_trained_again(trainer_run, monkeypatch):
    monkeypatch.setattr("trainer.training.training.build_model", None)
    assert train(trainer_run.job) == trainer_run.results["train"]


def test_the_same_training_gives_the_same_model(trainer_world, long_pipeline, undisturbed):
    job = trainer_world.job("again", long_pipeline)
    train(job)
    assert_same(outcome(job), undisturbed)


def test_a_training_that_is_killed_before_a_checkpoint_within_the_epoch_starts_it_again(
    trainer_world, long_pipeline, undisturbed, monkeypatch
):
    job = trainer_world.job("interrupted", long_pipeline)
    train_until(job, epoch=4, step=3)
    train(job)
    assert_same(outcome(job), undisturbed)


def test_a_training_whose_process_is_killed_goes_on_and_gives_the_same_model(
    trainer_world, long_pipeline, undisturbed, tmp_path
):
    job = trainer_world.job("killed", long_pipeline)
    file, state = tmp_path / "job.json", Path(job.run_folder) / "training" / "state.json"
    file.write_text(job.model_dump_json())
    child = subprocess.Popen(
        [sys.executable, "-m", "trainer", "train", str(file)], stdin=subprocess.PIPE
    )
    deadline = time.monotonic() + 120
    while not state.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL

    assert 1 <= Checkpoints(state.parent).state().epochs < EPOCHS
    train(job)
    assert_same(outcome(job), undisturbed)


def test_the_model_has_the_best_epochs_weights(trainer_world):
    # A rate this high leaves the best epoch soon.
    pipeline = pipeline_of(
        training=training_with(epochs=50, learning_rate=0.3, early_stopping_patience=2)
    )
    job = trainer_world.job("stopped", pipeline)
    result = train(job)
    history = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    losses = [epoch["validation_loss"] for epoch in history]
    assert result.best_epoch == losses.index(min(losses)) + 1
    assert result.epochs == result.best_epoch + 2 < 50

    from trainer.data.stream import evaluation_batches
    from trainer.evaluation.metrics import SplitScores
    from trainer.export.trained import predictor

    manifest = job.manifest()
    predict = predictor(pipeline, manifest, Path(job.run_folder))
    scores = SplitScores(pipeline, manifest, frozenset(pipeline.targets))
    layout = BatchLayout.for_evaluation(pipeline, manifest)
    for inputs, targets, weights in evaluation_batches(shard_files(job, "validation"), layout, 7):
        truths = {name: target.numpy()[:, 0] for name, target in targets.items()}
        scores.update(predict(inputs), truths, {n: w.numpy() for n, w in weights.items()})
    # The evaluation's own loss agrees with the one that chose the epoch.
    assert scores.results("validation")["validation_loss"] == pytest.approx(min(losses), rel=1e-4)


def test_a_best_epoch_that_is_the_last_one_asks_for_a_longer_training(trainer_world):
    training = training_with(epochs=2, early_stopping_patience=1)
    result = train(trainer_world.job("short", pipeline_of(training=training)))
    assert (result.epochs, result.best_epoch) == (2, 2)
    assert result.warnings == (
        "The best epoch is the last one, 2: a longer training may be better; set a higher "
        "training.epochs or training.steps.",
    )


def test_as_many_steps_are_trained_as_are_declared(trainer_world):
    # Of 86 rows in batches of 16 an epoch has six steps.
    training = training_with(epochs="auto", steps=8, early_stopping_patience=3)
    job = trainer_world.job("steps", pipeline_of(training=training))
    result = train(job)
    assert (result.epochs, result.steps) == (2, 8)
    history = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    assert [epoch["steps"] for epoch in history] == [6, 8]


def test_a_round_of_several_epochs_is_validated_once(trainer_world):
    # Fifty steps are nine epochs, and forty are eight.
    training = training_with(epochs="auto", steps=40, early_stopping_patience="auto")
    job = trainer_world.job("round", pipeline_of(training=training))
    assert train(job).steps == 40
    (only,) = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    assert (only["epoch"], only["steps"]) == (7, 40)


def test_a_refit_learns_validation_rows_too_and_the_chosen_model_stays_beside_it(
    trainer_world, tmp_path, monkeypatch
):
    def keys(*splits):
        """Returns the first pixels of the rows of some splits: no two rows share one."""
        return {n * 37 % 256 for n in range(120) if split_of(n) in splits}

    model = {
        **{"features": ["photo"], "targets": ["cost"]},
        "encoders": {"photo": {"kind": "cnn", "filters": [4], "units": 8}},
        "fusion": {"kind": "concatenate", "hidden": [8]},
    }
    once, twice = (
        pipeline_of(model=model, training=training_with(epochs=2, refit=refit)).modelled()
        for refit in (None, "all")
    )
    job = trainer_world.job("refit", twice)
    monkeypatch.setattr(epoch, "traced", epoch.traced)
    log_batches(tmp_path / "log")
    result = train(job)
    batches = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert (result.steps, result.best_steps, len(batches)) == (12, 12, 24)
    chosen, refit = ([key for batch in part for key in batch] for part in
                     (batches[:12], batches[12:]))  # fmt: skip
    assert set(chosen) == keys("train")
    assert set(refit) == keys("train", "validation")

    plain = trainer_world.job("no-refit", once)
    train(plain)
    folder = Path(job.run_folder)
    models = [
        keras.models.load_model(path).get_weights()
        for path in (folder / "chosen.keras", Path(plain.run_folder) / "model.keras")
    ]
    assert all(np.array_equal(a, b) for a, b in zip(*models, strict=True))
    kept = keras.models.load_model(folder / "model.keras").get_weights()
    assert not any(np.array_equal(a, b) for a, b in zip(models[0], kept, strict=True))
    assert not (Path(plain.run_folder) / "chosen.keras").exists()


def test_the_step_is_traced_once_for_all_epochs(trainer_world):
    from trainer.network.model import build_model

    pipeline = pipeline_of()
    job = trainer_world.job("traces", pipeline)
    files = shard_files(job, "train")
    recipe = recipe_of(pipeline, job.manifest(), 86, 17)
    network = build_model(pipeline, job.manifest())
    model = trainable(network, pipeline, job.manifest(), recipe)
    runner = EpochRunner(model, recipe, None, Augmenter({}, seed=1))
    layout = BatchLayout.for_training(pipeline, job.manifest())
    for number in range(3):  # 86 rows in batches of 16: the last has 6
        batches = training_batches(files, layout, recipe, epoch=number, epochs=1)
        runner.run(EpochData(batches, 1, 86), Position(epoch=number))
    assert runner._step.experimental_get_tracing_count() == 1


def test_class_weights_and_loss_weights_reach_the_loss(trainer_world):
    def first_loss(name, **sold):
        targets = {
            "sold": {"kind": "binary", **sold},
            "group": {"kind": "multiclass", "missing": "mask", "loss_weight": 0.0},
            "cost": {"kind": "numeric", "loss_weight": 0.0},
        }
        pipeline = pipeline_of(
            targets=targets, training=training_with(epochs=1, batch_size=1000, optimizer="sgd")
        )
        job = trainer_world.job(name, pipeline)
        train(job)
        (epoch,) = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
        return epoch["loss"]

    plain = first_loss("plain")
    assert first_loss("double", loss_weight=2.0) == pytest.approx(2 * plain, rel=1e-5)
    weighted = first_loss("weighted", class_weights={"0": 3.0, "1": 3.0})
    assert weighted == pytest.approx(3 * plain, rel=1e-5)


@pytest.mark.parametrize("schedule", [{"kind": "constant"}, {"kind": "cosine", "warmup_steps": 3}])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_every_optimizer_and_schedule_trains(trainer_world, optimizer, schedule):
    training = training_with(epochs=1, optimizer=optimizer, schedule=schedule)
    job = trainer_world.job(f"{optimizer}-{schedule['kind']}", pipeline_of(training=training))
    assert train(job).epochs == 1


def test_a_loss_that_is_no_number_says_what_to_do(trainer_world):
    training = training_with(learning_rate=1e30, optimizer="sgd")
    job = trainer_world.job("nan", pipeline_of(training=training))
    with pytest.raises(BraidError, match=r"Set a lower training.learning_rate") as caught:
        train(job)
    assert caught.value.expected == "a finite number"
    assert not math.isfinite(float(caught.value.received))
    assert not (Path(job.run_folder) / "model.keras").exists()


def test_no_training_rows_is_an_error(trainer_world):
    job = trainer_world.job("empty", partitions=())
    with pytest.raises(BraidError, match="expected at least one row, received none"):
        train(job)


def without_shards(world, root, splits):
    """Copies the world without some splits."""
    shutil.copytree(world.root, root, ignore=shutil.ignore_patterns("runs"))
    workspace = Workspace(root)
    for name, fingerprint in (("day=1", "p1"), ("day=2", "p2")):
        manifest = workspace.read_shards("f00d", name, fingerprint)
        kept = tuple(shard for shard in manifest.shards if shard.split not in splits)
        folder = workspace.shards("f00d", name, fingerprint)
        changed = manifest.model_copy(update={"shards": kept})
        (folder / "manifest.json").write_text(changed.model_dump_json())
    return root


def test_without_validation_and_test_rows_training_goes_on_with_a_warning(trainer_world, tmp_path):
    from trainer.evaluation.evaluation import evaluate
    from trainer.export.export import export
    from trainer.export.serving import check

    root = without_shards(trainer_world, tmp_path / "workspace", ("validation", "test"))
    pipeline = pipeline_of(training=training_with(blend="linear"))
    job = trainer_world.job("thin", pipeline, workspace=str(root))
    trained = train(job)
    assert trained.warnings == (
        "There are no validation rows: the training loss chose the best epoch.",
        "No linear model is blended in, as training.blend asks for: its share is chosen on 30 "
        "validation rows at least, of a target that is no picture.",
    )
    assert "blended" not in trained.recipe
    export(job)
    result = evaluate(job)
    assert (result.metrics, result.parity, result.rows) == ({}, None, 0)
    assert len(result.warnings) == 2
    assert check(job) == CheckResult()


def test_a_damaged_shard_stops_the_training_before_it_begins(trainer_world, tmp_path):
    root = without_shards(trainer_world, tmp_path / "workspace", ())
    shard = next(root.glob("shards/f00d/day=2@p2/train-*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(BraidError, match=rf"{shard.name}: .* damage in record \d+ at byte"):
        train(trainer_world.job("damaged", workspace=str(root)))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_mixed_precision_trains_and_serves_in_float32(trainer_world, precision):
    from trainer.evaluation.evaluation import evaluate
    from trainer.export.export import export

    training = training_with(epochs=2, mixed_precision=precision, members=2, ema=0.5)
    job = trainer_world.job(precision, pipeline_of(training=training))
    train(job)
    export(job)
    assert evaluate(job).parity < 1e-4
