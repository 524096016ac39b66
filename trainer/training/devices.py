"""A step of one batch on one device or on several, with the same result.

B batch, P rows of a device's part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from trainer.data.stream import Batch
from transforms.contract.declaration.training import TrainingSpec

Step = Callable[[Batch], Mapping[str, tf.Tensor]]


def strategy_for(
    training: TrainingSpec, devices: Sequence[str] | None
) -> tuple[tf.distribute.Strategy, tuple[str, ...]]:
    """Returns where a model is to be built and trained, and what the run's record is to warn of.

    Args:
        training: Its objective.
        devices: TensorFlow's names of the devices; None stands for every GPU of the host.
    """
    if devices is None:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    if len(devices) < 2:
        return tf.distribute.get_strategy(), ()
    if training.objective == "adversarial":
        # Its discriminator compares every row with the row beside it, which another device has.
        warning = f"Adversarial training used one of {len(devices)} devices."
        return tf.distribute.get_strategy(), (warning,)
    return tf.distribute.MirroredStrategy(list(devices)), ()


def batch_step(
    model: keras.Model, kind: Literal["train", "test"], a_row: Callable[[], Batch]
) -> Step:
    """Returns Keras's own step as a function of one batch, to be called in a `tf.function`.

    `fit` draws the batch inside its compiled function; out here, the wait for data can be told
    from the work. The step returns the means of this batch alone.

    Args:
        model: The compiled model.
        kind: Whether the step learns.
        a_row: Returns a batch of one row.
    """
    whole = _replicated(model, kind, a_row) if _devices(model) > 1 else _single(model, kind)

    def step(batch: Batch) -> Mapping[str, tf.Tensor]:
        means = whole(batch)
        # Keras's own running means weigh a device's part by its rows, padding included.
        model.reset_metrics()
        return means

    return step


def _devices(model: keras.Model) -> int:
    return int(model.distribute_strategy.num_replicas_in_sync)


def _single(model: keras.Model, kind: str) -> Step:
    if kind == "train":
        model.make_train_function()
        return lambda batch: model.train_function([batch])
    model.make_test_function()
    return lambda batch: model.test_function([batch])


def _replicated(model: keras.Model, kind: str, a_row: Callable[[], Batch]) -> Step:
    strategy, own = model.distribute_strategy, getattr(model, f"{kind}_step")
    with strategy.scope():
        # As `fit` does: the loss makes variables at its first call, and a device must not.
        model._symbolic_build(data_batch=a_row())

    def step(batch: Batch) -> Mapping[str, tf.Tensor]:
        parts = strategy.experimental_distribute_values_from_function(
            lambda context: part(batch, context.replica_id_in_sync_group, _devices(model))
        )
        means = strategy.run(own, (parts,))
        # The parts are equally large, so the mean of their means is the batch's.
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in means.items()
        }

    return step


def part(batch: Batch, index: int, count: int) -> Batch:
    """Returns a device's part of a batch.

    All parts have P = B / count rows, rounded up. What the last ones lack is filled with copies of
    the last row that weigh nothing, and the others weigh more by as much: so the mean over the
    devices of the parts' mean losses is the mean over the batch.

    Args:
        batch: Inputs, targets and sample weights; each leaf is [B, ...], B at least 1.
        index: The device, from 0.
        count: The number of devices.
    """
    inputs, targets, weights = batch
    rows = tf.shape(next(iter(weights.values())))[0]
    size = (rows + count - 1) // count
    own_P = tf.range(index * size, (index + 1) * size)
    taken_P = tf.minimum(own_P, rows - 1)
    scale = tf.cast(size * count, tf.float32) / tf.cast(rows, tf.float32)
    share_P = tf.where(own_P < rows, scale, 0.0)

    def take(values: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        return {name: tf.gather(value, taken_P) for name, value in values.items()}

    shares = {name: weight_P * share_P for name, weight_P in take(weights).items()}
    return take(inputs), take(targets), shares
