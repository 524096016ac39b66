"""Trains a step of every encoder on one and on two logical devices: `python -m tests.two_devices`.

Prints one line per branch; fails if what two devices learn is not what one does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.cases import FEATURES
from trainer.model import build_model
from trainer.shards import shard_files
from trainer.stream import BatchLayout, evaluation_batches
from transforms.contract.jobs import TrainJob

ROWS = 8
_DEVICES = 2


def main(path: Path) -> None:
    """Compares every branch of `tests.cases` on the shards of a job."""
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        device, [tf.config.LogicalDeviceConfiguration()] * _DEVICES
    )
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(_DEVICES)])
    job = TrainJob.model_validate_json(path.read_text())
    layout = BatchLayout.for_evaluation(job.pipeline, job.manifest())
    batches = evaluation_batches(shard_files(job, "train"), layout, ROWS)
    inputs, targets, _ = next(iter(batches))
    for case in FEATURES:
        for encoder in case.encoders or (None,):
            names = [case.name] if case.values else [case.name, "z_score"]
            document = job.pipeline.model_dump(mode="json")
            model = {
                "features": names,
                "targets": ["sold"],
                "fusion": {"hidden": [4], "dropout": 0.0},
            }
            chosen = {} if encoder is None else {case.name: encoder}
            del document["model"]
            one, two = (
                _step(
                    job, document | {"model": model | {"encoders": chosen}}, inputs, targets, where
                )
                for where in (tf.distribute.get_strategy(), strategy)
            )
            difference = max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True))
            kind = "default" if encoder is None else encoder["kind"]
            sys.stdout.write(f"{case.name} {kind} {difference:.1e}\n")
            if not difference < 1e-4:
                raise SystemExit(f"{case.name}: one device and two differ by {difference}")


def _step(
    job: TrainJob, document: dict[str, Any], inputs: Any, targets: Any, strategy: Any
) -> list[np.ndarray]:
    """Returns the weights after a step of plain gradient descent."""
    from transforms.contract.declaration import parse

    pipeline = parse(document).modelled()
    manifest = job.manifest().of_model(pipeline.features, pipeline.targets)
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = build_model(pipeline, manifest)
        model.compile("sgd", {"sold": "binary_crossentropy"})
    data = tf.data.Dataset.from_tensors(
        ({name: inputs[name] for name in model.input}, {"sold": targets["sold"]})
    )
    model.fit(data.unbatch().batch(ROWS), epochs=1, verbose=0)
    return [np.asarray(weight) for weight in model.trainable_weights]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
