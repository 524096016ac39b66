"""The declared optimizer and learning rate schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.recipe import Recipe
from transforms.contract.declaration.training import ConstantSchedule, CosineSchedule, TrainingSpec
from transforms.contract.spec import Spec

_NOT_DECAYED = ["bias", "gamma", "beta"]  # they do not multiply what comes in


class _Together:
    """Gradients of all devices, averaged before an optimizer scales them down.

    Keras scales what each device has by itself, and adds up the outcome.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Steps by the gradients that the devices have in the mean."""
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            known = [gradient for gradient in grads if gradient is not None]
            means = iter(context.all_reduce(tf.distribute.ReduceOp.MEAN, known))
            grads = [None if gradient is None else next(means) for gradient in grads]
        super().apply(grads, trainable_variables)  # type: ignore[misc]


class Adam(_Together, keras.optimizers.Adam):  # type: ignore[misc]
    """Adam, on all devices' gradients together."""


class AdamW(_Together, keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW, on all devices' gradients together."""


class Sgd(_Together, keras.optimizers.SGD):  # type: ignore[misc]
    """Stochastic gradient descent, on all devices' gradients together."""


def _adam(rate: Any, momentum: float, options: dict[str, Any], decay: float) -> keras.Optimizer:
    del decay
    return Adam(rate, beta_1=momentum, **options)


def _adamw(rate: Any, momentum: float, options: dict[str, Any], decay: float) -> keras.Optimizer:
    optimizer = AdamW(rate, beta_1=momentum, weight_decay=decay, **options)
    optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


def _sgd(rate: Any, momentum: float, options: dict[str, Any], decay: float) -> keras.Optimizer:
    del decay
    return Sgd(rate, momentum=momentum, nesterov=True, **options)


_OPTIMIZERS: dict[str, Callable[[Any, float, dict[str, Any], float], keras.Optimizer]] = {
    "adam": _adam,
    "adamw": _adamw,
    "sgd": _sgd,
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
    training: TrainingSpec, recipe: Recipe, *, momentum: float = 0.9
) -> keras.Optimizer:
    """Returns the declared optimizer.

    Args:
        training: The declaration.
        recipe: The steps of the whole training, and the averaging of its weights.
        momentum: How much of the past gradients a step keeps.
    """
    schedule = _SCHEDULES[type(training.schedule)]
    rate = schedule(training.learning_rate, training.schedule, recipe.planned_steps())
    options: dict[str, Any] = {}
    if training.gradient_clipping is not None:
        # What the devices have in the mean is added up once more.
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        options["global_clipnorm"] = training.gradient_clipping / devices
    if recipe.ema:
        options |= {"use_ema": True, "ema_momentum": recipe.ema}
    return _OPTIMIZERS[training.optimizer](rate, momentum, options, training.weight_decay)


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Gives a model the averages of its weights for as long as the context lasts."""
    optimizer = _inner(model.optimizer)
    if not optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    latest = [np.asarray(variable) for variable in variables]
    take_averages(model)
    try:
        yield
    finally:
        for variable, value in zip(variables, latest, strict=True):
            variable.assign(value)


def take_averages(model: keras.Model) -> None:
    """Gives a model the averages of its weights for good, if there are any."""
    _inner(model.optimizer).finalize_variable_values(model.trainable_variables)


def _inner(optimizer: keras.Optimizer) -> keras.Optimizer:
    """Returns the optimizer that steps; that of mixed precision scales the loss around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)
