"""The declared optimizer and learning rate schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from transforms.contract.model import ConstantSchedule, CosineSchedule, TrainingSpec
from transforms.contract.spec import Spec

_OPTIMIZERS: dict[str, Callable[[Any, float], keras.Optimizer]] = {
    "adam": lambda rate, momentum: keras.optimizers.Adam(rate, beta_1=momentum),
    "adamw": lambda rate, momentum: keras.optimizers.AdamW(rate, beta_1=momentum),
    "sgd": lambda rate, momentum: keras.optimizers.SGD(rate, momentum=momentum, nesterov=True),
}


def _constant(rate: float, schedule: ConstantSchedule, steps: int) -> Any:
    del schedule, steps
    return rate


def _cosine(rate: float, schedule: CosineSchedule, steps: int) -> Any:
    warmup = min(schedule.warmup_steps, steps - 1)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=rate, warmup_steps=warmup
    )


_SCHEDULES: dict[type[Spec], Callable[[float, Any, int], Any]] = {
    ConstantSchedule: _constant,
    CosineSchedule: _cosine,
}


def build_optimizer(
    training: TrainingSpec, steps: int, *, momentum: float = 0.9
) -> keras.Optimizer:
    """Returns the declared optimizer.

    Args:
        training: The declaration.
        steps: Steps of the whole training, all epochs.
        momentum: How much of the past gradients a step keeps.
    """
    schedule = _SCHEDULES[type(training.schedule)]
    rate = schedule(training.learning_rate, training.schedule, steps)
    return _OPTIMIZERS[training.optimizer](rate, momentum)
