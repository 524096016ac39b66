from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tests.trainer.world import World, make_world
from transforms.contract.steps.jobs import TrainJob


@dataclass(frozen=True)
class Finished:
    """A whole run: trained, exported, evaluated, checked."""

    job: TrainJob
    results: dict[str, Any]


@pytest.fixture(scope="session")
def trainer_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("trainer") / "workspace")


@pytest.fixture(scope="session")
def trainer_run(trainer_world: World) -> Finished:
    from trainer.evaluation.evaluation import evaluate
    from trainer.export.export import export
    from trainer.export.serving import check
    from trainer.training.training import train

    job = trainer_world.job("whole")
    steps = {"train": train, "export": export, "evaluate": evaluate, "check": check}
    return Finished(job, {name: step(job) for name, step in steps.items()})


@pytest.fixture
def run_folder(trainer_run: Finished) -> Path:
    return Path(trainer_run.job.run_folder)
