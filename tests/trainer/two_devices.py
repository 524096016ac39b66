"""Trains a job on two logical devices: `python -m tests.trainer.two_devices JOB.json`."""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

from trainer.training.training import train
from transforms.contract.steps.jobs import TrainJob

DEVICES = ("CPU:0", "CPU:1")

if __name__ == "__main__":
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        device, [tf.config.LogicalDeviceConfiguration()] * len(DEVICES)
    )
    job = TrainJob.model_validate_json(Path(sys.argv[1]).read_text())
    sys.stdout.write(train(job, devices=DEVICES).model_dump_json() + "\n")
