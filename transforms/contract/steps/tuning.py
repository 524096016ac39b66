"""A tuning: which keys its trials may change, and what they leave behind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue, PositiveFloat

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.checks import FITTING_PIPELINE
from transforms.contract.spec import Count, Spec
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.documents import BRING_BACK, read_json
from transforms.contract.workspace.files import write_atomic

# Raised whenever trials would be drawn from other ranges than before.
SEARCH_VERSION = 1

_TRAINING = ("learning_rate", "weight_decay", "batch_size", "ema")
_FUSION = ("hidden", "dropout")
_ENCODER = ("units", "dropout")  # of default encoders that have them as one number


class SearchedKey(Spec):
    """A key of the declaration that trials may change; no shard depends on it.

    Attributes:
        name: What it is called where trials are told of, such as "model.fusion.dropout", or
            "piecewise.units" for all features that are read by this encoder.
        field: Its last part.
        paths: Where its value goes in the declaration.
        beside: What has to stand beside a value, by path: the kind of an encoder that is not
            declared.
        default: Its value where no trial says otherwise.
    """

    name: str
    field: str
    paths: tuple[str, ...]
    beside: dict[str, JsonValue] = {}
    default: JsonValue


def searched_keys(pipeline: PipelineSpec) -> tuple[SearchedKey, ...]:
    """Returns the keys that trials may change: those that the user has left to their defaults.

    An encoder that is declared stays as a whole, and so does a network of the user's own.
    """
    training, fusion = pipeline.training, pipeline.model.fusion
    names = [name for name in _TRAINING if name not in training.model_fields_set]
    if training.optimizer != "adamw":
        names = [name for name in names if name != "weight_decay"]
    keys = [_own(f"training.{name}", getattr(training, name)) for name in names]
    if pipeline.model.builder is not None:
        return tuple(keys)
    names = [name for name in _FUSION if name not in fusion.model_fields_set]
    keys += [_own(f"model.fusion.{name}", getattr(fusion, name)) for name in names]
    return (*keys, *_of_default_encoders(pipeline))


def _own(path: str, default: Any) -> SearchedKey:
    value = list(default) if isinstance(default, tuple) else default
    return SearchedKey(name=path, field=path.rpartition(".")[2], paths=(path,), default=value)


def _of_default_encoders(pipeline: PipelineSpec) -> list[SearchedKey]:
    """Returns a key for each number of each kind of encoder, which all its features share."""
    features: dict[str, list[str]] = {}
    for name in pipeline.modelled().features:
        if name not in pipeline.model.encoders:
            features.setdefault(pipeline.encoder_of(name).kind, []).append(name)
    return [
        SearchedKey(
            name=f"{kind}.{field}",
            field=field,
            paths=tuple(f"model.encoders.{name}.{field}" for name in names),
            beside={f"model.encoders.{name}.kind": kind for name in names},
            default=default,
        )
        for kind, names in features.items()
        for field in _ENCODER
        if isinstance(default := getattr(pipeline.encoder_of(names[0]), field, None), int | float)
    ]


def settings_of(
    keys: Iterable[SearchedKey], changes: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Returns what changes of keys set in the declaration, by path.

    Args:
        keys: The searched keys.
        changes: Values by the keys' names.
    """
    settings: dict[str, JsonValue] = {}
    for key in keys:
        if key.name in changes:
            settings |= key.beside | dict.fromkeys(key.paths, changes[key.name])
    return settings


def nested(settings: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Returns settings as they stand in a declaration."""
    document: dict[str, Any] = {}
    for path, value in settings.items():
        _put(document, path, value)
    return document


def with_settings(pipeline: PipelineSpec, settings: Mapping[str, JsonValue]) -> PipelineSpec:
    """Returns a declaration with other values at some paths."""
    document = json.loads(pipeline.model_dump_json())
    for path, value in settings.items():
        _put(document, path, value)
    return FITTING_PIPELINE.validate_json(json.dumps(document))


def _put(document: dict[str, Any], path: str, value: JsonValue) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value


class TuneJob(Spec):
    """Trials on committed shards.

    Attributes:
        training: The training of the declaration as trials run it: one member, no refit.
        keys: What trials may change.
        trials: As many as there are to be, those of earlier commands among them.
        seconds: No trial goes on after so many, but the first one of all.
        folder: Where trials are kept.
    """

    training: TrainJob
    keys: tuple[SearchedKey, ...]
    trials: Count
    seconds: PositiveFloat
    folder: str


class Trial(Spec):
    """A trial that has ended.

    Attributes:
        number: From 0.
        status: "pruned" if it fell behind the others and was stopped, "diverged" if its loss left
            the numbers.
        loss: The validation loss of its best round; None if it diverged.
        changes: The keys that differ from the declaration, by name; the first trial has none.
        parameters: What the search has drawn, by the search's own names.
        curve: The best validation loss so far, after each twentieth of the planned steps.
        steps: Optimizer steps.
        seconds: How long it took.
    """

    number: int
    status: Literal["complete", "pruned", "diverged"]
    loss: float | None
    changes: dict[str, JsonValue]
    parameters: dict[str, float]
    curve: tuple[float, ...] = ()
    steps: int = 0
    seconds: float


class Tuning(Spec):
    """The trials that a model's keys were chosen by, as `run.json` keeps them.

    Attributes:
        trials: All that have ended, by number.
        best: The number of the one with the lowest validation loss.
        settings: What it sets in the declaration, by path.
        seconds: How long the trials took together.
        transformed: Rows that were transformed for them.
    """

    trials: tuple[Trial, ...]
    best: int
    settings: dict[str, JsonValue]
    seconds: float
    transformed: int

    def pruned(self) -> int:
        """Returns how many trials were stopped early."""
        return sum(trial.status == "pruned" for trial in self.trials)

    def ranked(self) -> list[Trial]:
        """Returns the trials that went to their end, the best first."""
        return ranked(self.trials)


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Returns the trials that went to their end by validation loss, the lowest first."""
    complete = [trial for trial in trials if trial.status == "complete"]
    return sorted(complete, key=lambda trial: (trial.loss, trial.number))


def changes_in_words(changes: Mapping[str, JsonValue]) -> str:
    """Returns "training.learning_rate 0.002, model.fusion.hidden [256]" and the like."""
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in changes.items())


def write_trial(folder: Path, trial: Trial) -> None:
    """Keeps a trial that has ended, whole or not at all."""
    write_atomic(folder / f"{trial.number:04d}.json", trial.model_dump_json(indent=1) + "\n")


def read_trials(folder: Path) -> tuple[Trial, ...]:
    """Returns the trials that have ended, by number."""
    files = sorted(folder.glob("[0-9]*.json"))
    return tuple(read_json(file, Trial, action=BRING_BACK) for file in files)


def next_number(folder: Path, trials: Sequence[Trial]) -> int:
    """Returns the number of the next trial: none that a killed one had.

    What has killed it, such as a lack of memory, may come of what it has drawn from its number.
    """
    lost = [int(path.name) for path in folder.glob("[0-9]*") if path.is_dir()]
    return 1 + max([*lost, *(trial.number for trial in trials)], default=-1)
