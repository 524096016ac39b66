"""Trains a step of every encoder on one and on two logical devices.

`python -m tests.support.two_devices` is the command.
Prints one line per branch; fails if what two devices learn is not what one does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.cases import FEATURES
from tests.support.conformance import branches_of, joint_network
from trainer.data.shards import shard_files
from trainer.data.stream import BatchLayout, evaluation_batches
from transforms.contract.steps.jobs import TrainJob

_ROWS = 8
_DEVICES = 2
_TOLERANCE = 1e-4


def main(path: Path) -> None:
    """Compares every branch of `tests.cases` on the shards of a job."""
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        device, [tf.config.LogicalDeviceConfiguration()] * _DEVICES
    )
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(_DEVICES)])
    job = TrainJob.model_validate_json(path.read_text())
    one, two = (_learnt(job, where) for where in (tf.distribute.get_strategy(), strategy))
    for branch in branches_of(FEATURES):
        # Batch normalization takes the statistics of each device's own rows.
        if any("norm" in name or "bn" in name for name in one[branch]):
            compared = "finite"
            fits = all(np.isfinite(values).all() for values in two[branch].values())
        else:
            difference = max(
                float(np.abs(values - two[branch][name]).max(initial=0.0))
                for name, values in one[branch].items()
            )
            compared, fits = f"{difference:.1e}", difference < _TOLERANCE
        sys.stdout.write(f"{branch} {compared}\n")
        if not fits:
            raise SystemExit(f"{branch}: one device and two differ by {compared}")


def _learnt(job: TrainJob, strategy: tf.distribute.Strategy) -> dict[str, dict[str, np.ndarray]]:
    """Returns the weights of every branch, by their paths, after a step of gradient descent."""
    manifest, branches = job.manifest(), branches_of(FEATURES)
    layout = BatchLayout.for_evaluation(job.pipeline, manifest)
    batches = evaluation_batches(shard_files(job, "train"), layout, _ROWS)
    inputs, targets, _ = next(iter(batches))
    keras.utils.set_random_seed(1)
    with strategy.scope():
        # Its chance is not the same on two devices as on one.
        model = joint_network(job.pipeline, manifest, branches, dropout=False)
        model.compile("sgd", dict.fromkeys(branches, "mse"))
    rows = ({n: inputs[n] for n in model.input}, dict.fromkeys(branches, targets["sold"]))
    model.fit(tf.data.Dataset.from_tensor_slices(rows).batch(_ROWS), epochs=1, verbose=0)
    return {
        branch: {
            weight.path: np.asarray(weight)
            for weight in model.weights
            if weight.path.split("/")[0].split(".")[0] == branch
        }
        for branch in branches
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
