from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.world import recipe_with
from trainer.training.checkpoint import Checkpoints
from trainer.training.early_stopping import TrainingState
from transforms.contract.errors import BraidError
from transforms.contract.steps.results import EpochRecord


def record(epoch, validation_loss, loss=1.0, steps=0):
    return EpochRecord(
        epoch=epoch,
        steps=steps,
        loss=loss,
        losses={},
        validation_loss=validation_loss,
        seconds=1.0,
        rows_per_second=1.0,
        input_wait_share=0.0,
    )


def run(losses, patience, epochs=100):
    state = TrainingState()
    for epoch, loss in enumerate(losses):
        if state.stopped:
            break
        state = state.after(record(epoch, loss), recipe_with(patience=patience, epochs=epochs))
    return state


def test_training_stops_after_patience_epochs_and_keeps_the_best():
    state = run([3.0, 1.0, 2.0, 2.0, 0.5], patience=2)
    assert state.stopped
    assert (state.epochs, state.best_epoch, state.best_loss) == (4, 1, 1.0)


def test_a_better_epoch_resets_the_patience():
    state = run([3.0, 4.0, 2.0, 4.0, 1.0], patience=2)
    assert not state.stopped
    assert state.best_epoch == 4


def test_without_patience_the_last_epoch_counts():
    state = run([1.0, 2.0, 3.0], patience=None, epochs=3)
    assert state.stopped
    assert state.best_epoch == 2


def test_a_round_of_several_epochs_counts_once_and_the_best_ones_steps_are_known():
    state = TrainingState()
    for last_epoch, loss in ((4, 2.0), (9, 1.0), (14, 3.0)):
        steps = 3 * (last_epoch + 1)
        state = state.after(
            record(last_epoch, loss, steps=steps), recipe_with(patience=2, epochs=100)
        )
    assert (state.epochs, state.best_epoch, state.rounds_without_improvement) == (15, 9, 1)
    assert (state.steps, state.best_steps, state.stopped) == (45, 30, False)


def test_training_ends_with_its_steps():
    limited = recipe_with(steps=8)
    state = TrainingState().after(record(0, 1.0, steps=6), limited)
    assert not state.stopped
    assert state.after(record(1, 1.0, steps=8), limited).stopped


def test_without_validation_rows_the_training_loss_decides():
    state = TrainingState()
    for epoch, loss in enumerate([2.0, 1.0, 3.0]):
        state = state.after(record(epoch, None, loss), recipe_with(patience=5, epochs=9))
    assert state.best_epoch == 1


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.integers(1, 5))
def test_the_best_epoch_has_the_lowest_loss_so_far(losses, patience):
    state = run(losses, patience)
    seen = losses[: state.epochs]
    assert seen[state.best_epoch] == min(seen)
    assert seen.index(min(seen)) == state.best_epoch


def compiled(units=2):
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(units)(keras.layers.Dropout(0.5)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def values_of(model):
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def test_a_checkpoint_brings_back_weights_optimizer_and_random_states(tmp_path):
    model = compiled()
    x = np.ones((8, 3), np.float32)
    model.train_on_batch(x, x[:, :2])
    saved = values_of(model)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, run([1.0], patience=2))
    model.train_on_batch(x, x[:, :2])

    other = compiled()
    checkpoints.restore(other, 0)

    assert all(np.array_equal(a, b) for a, b in zip(values_of(other), saved, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(values_of(model), saved, strict=True))


def test_the_best_and_the_last_are_kept(tmp_path):
    model, checkpoints = compiled(), Checkpoints(tmp_path)
    for epochs in range(1, 5):
        checkpoints.save(model, run([3.0, 1.0, 2.0, 2.5][:epochs], patience=9))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "epoch-0001.npz",
        "epoch-0003.npz",
        "state.json",
    ]
    assert checkpoints.state() == run([3.0, 1.0, 2.0, 2.5], patience=9)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(compiled(units=2), run([1.0], patience=2))
    with pytest.raises(BraidError, match="The model has changed since"):
        checkpoints.restore(compiled(units=5), 0)
