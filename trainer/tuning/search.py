"""The search of a tuning: from the trials so far to what the next one changes.

Numbers are searched as factors of what they are without a trial's say, so that the ranges follow
where defaults move. What is drawn is a function of seed, number and earlier trials: a search that
goes on after a kill draws what an undisturbed one would.

Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization", 2011.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from pydantic import JsonValue

from trainer.recipe import Recipe
from transforms.contract.steps.tuning import SearchedKey, Trial

PARTS = 20  # of a training, after each of which trials are compared

_DRAWN_AT_RANDOM = 8  # trials, before the search follows what they gave
_KEPT_SHARE = 0.5  # of the keys, at their defaults, in those trials
_NEVER_PRUNED = 4  # trials that went to their end, before one is held against them
_UNJUDGED_PARTS = 5  # of a training: what learns slowly at first may be the best at last, ...
_KEPT_PERCENT = 75.0  # ... so the median would stop too many: on one table, the best trial
_HIGHEST_DROPOUT = 0.6
_SMALLEST_BATCH = 8

_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
}


@dataclass(frozen=True)
class Dimensions:
    """The values that are drawn for one key.

    Attributes:
        distributions: By the name of what is drawn.
        default: What gives the key's default.
        value: Returns the key's value for what was drawn.
    """

    distributions: dict[str, BaseDistribution]
    default: dict[str, float]
    value: Callable[[Mapping[str, float]], JsonValue]


def _factor(key: SearchedKey, low: float, high: float) -> Dimensions:
    """Returns a number that is drawn evenly on a log scale around its default."""

    def value(drawn: Mapping[str, float]) -> JsonValue:
        return float(f"{base * drawn[key.name]:.3g}")

    base = _number(key.default)
    return Dimensions({key.name: FloatDistribution(low, high, log=True)}, {key.name: 1.0}, value)


def _learning_rate(key: SearchedKey, _: Recipe) -> Dimensions:
    return _factor(key, 0.2, 4.0)


def _weight_decay(key: SearchedKey, _: Recipe) -> Dimensions:
    return _factor(key, 0.01, 10.0)


def _units(key: SearchedKey, _: Recipe) -> Dimensions:
    base = int(_number(key.default))
    return _octaves(key.name, lambda factor: max(1, int(base * factor)))


def _batch_size(key: SearchedKey, recipe: Recipe) -> Dimensions:
    def value(factor: float) -> JsonValue:
        if factor == 1:
            return key.default
        return max(_SMALLEST_BATCH, int(recipe.batch_size * factor))

    return _octaves(key.name, value)


def _octaves(name: str, value: Callable[[float], JsonValue]) -> Dimensions:
    """Returns half of the default, the default, or twice as much; `value` is of that factor."""
    distribution = CategoricalDistribution((0.5, 1.0, 2.0))
    return Dimensions({name: distribution}, {name: 1.0}, lambda drawn: value(drawn[name]))


def _dropout(key: SearchedKey, _: Recipe) -> Dimensions:
    def value(drawn: Mapping[str, float]) -> JsonValue:
        return round(drawn[key.name], 2)

    default = _number(key.default)
    distribution = FloatDistribution(0.0, max(_HIGHEST_DROPOUT, default))
    return Dimensions({key.name: distribution}, {key.name: default}, value)


def _ema(key: SearchedKey, recipe: Recipe) -> Dimensions:
    """Returns over how many steps weights are averaged, as a factor of the recipe's number."""

    def value(factor: float) -> JsonValue:
        return key.default if factor == 1 else round(1 - (1 - recipe.ema) / factor, 4)

    return _octaves(key.name, value)


def _hidden(key: SearchedKey, _: Recipe) -> Dimensions:
    """Returns how many layers there are, and their common width as a factor of the default's."""

    def value(drawn: Mapping[str, float]) -> JsonValue:
        return [max(1, int(first * drawn[width]))] * int(drawn[layers])

    default = key.default
    if not isinstance(default, list) or not default:
        raise ValueError(f"{key.name} has layers by default, received {default!r}")
    first, count = int(_number(default[0])), len(default)
    width, layers = f"{key.name}.width", f"{key.name}.layers"
    numbers = tuple(float(n) for n in range(max(1, count - 1), count + 2))
    return Dimensions(
        {
            width: CategoricalDistribution((0.25, 0.5, 1.0, 2.0)),
            layers: CategoricalDistribution(numbers),
        },
        {width: 1.0, layers: float(count)},
        value,
    )


_BY_FIELD: dict[str, Callable[[SearchedKey, Recipe], Dimensions]] = {
    "learning_rate": _learning_rate,
    "weight_decay": _weight_decay,
    "batch_size": _batch_size,
    "ema": _ema,
    "hidden": _hidden,
    "dropout": _dropout,
    "units": _units,
}


class Asked:
    """A trial to be run.

    Attributes:
        changes: The keys that differ from the declaration, by name.
        parameters: What was drawn for them.
    """

    def __init__(
        self, trial: optuna.Trial, dimensions: Mapping[str, Dimensions], keys: Sequence[SearchedKey]
    ) -> None:
        self._trial = trial
        self.parameters: dict[str, float] = dict(trial.params)
        values = {key.name: dimensions[key.name].value(self.parameters) for key in keys}
        self.changes = {key.name: v for key in keys if (v := values[key.name]) != key.default}

    def falls_behind(self, part: int, loss: float) -> bool:
        """Returns whether the trial is to be stopped.

        Args:
            part: How many parts of the training are done.
            loss: The best validation loss so far.
        """
        self._trial.report(loss, part)
        return self._trial.should_prune()


class Search:
    """Draws trials, the first of which is the declaration as it is.

    Args:
        keys: What trials may change.
        recipe: That of the declaration.
    """

    def __init__(self, keys: Sequence[SearchedKey], recipe: Recipe) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._keys, self._seed = keys, recipe.seed
        self._dimensions = {key.name: _BY_FIELD[key.field](key, recipe) for key in keys}
        self._distributions = {
            name: distribution
            for own in self._dimensions.values()
            for name, distribution in own.distributions.items()
        }

    def ask(self, number: int, trials: Sequence[Trial]) -> Asked:
        """Returns what the next trial changes.

        Args:
            number: The trial's number.
            trials: Those that have ended.
        """
        study = optuna.create_study(sampler=self._sampler(number), pruner=_pruner())
        study.add_trials([self._known(trial) for trial in trials])
        study.enqueue_trial(self._fixed(number, trials))
        return Asked(study.ask(self._distributions), self._dimensions, self._keys)

    def _fixed(self, number: int, trials: Sequence[Trial]) -> dict[str, float]:
        """Returns what is not drawn: all at first, then the defaults of some keys, then nothing.

        Defaults were chosen well, so that to change all keys at once is worse than to change some.
        """
        keys = [key.name for key in self._keys]
        if any(is_declaration(trial) for trial in trials):
            drawn = random.Random(self._seed + number)
            some = len(trials) < _DRAWN_AT_RANDOM
            kept = [name for name in keys if some and drawn.random() < _KEPT_SHARE]
            keys = kept if len(kept) < len(keys) else []  # or it would be the declaration again
        return {n: v for name in keys for n, v in self._dimensions[name].default.items()}

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():
            # That keys are drawn together is new in Optuna; the versions are pinned.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                n_startup_trials=_DRAWN_AT_RANDOM, multivariate=True, seed=self._seed + number
            )

    def _known(self, trial: Trial) -> optuna.trial.FrozenTrial:
        curve = trial.curve
        if trial.status == "complete":
            # One that stopped early by itself stays as good as it was.
            curve = (*curve, *[trial.loss or 0.0] * (PARTS - len(curve)))
        values: dict[str, Any] = {} if trial.loss is None else {"value": trial.loss}
        return optuna.trial.create_trial(
            state=_STATES[trial.status],
            params=trial.parameters,
            distributions=self._distributions,
            intermediate_values=dict(enumerate(curve, start=1)),
            **values,
        )


def is_declaration(trial: Trial) -> bool:
    """Returns whether a trial that ended was the declaration as it is."""
    return not trial.changes


def _pruner() -> optuna.pruners.BasePruner:
    return optuna.pruners.PercentilePruner(
        _KEPT_PERCENT, n_startup_trials=_NEVER_PRUNED, n_warmup_steps=_UNJUDGED_PARTS
    )


def _number(value: JsonValue) -> float:
    if not isinstance(value, int | float):
        raise ValueError(f"a number, received {value!r}")
    return float(value)
