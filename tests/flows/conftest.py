"""A project whose model has two versions, for the commands and servers that need one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tests.trainer.world import DECLARATION, make_world, pipeline_of, training_with
from trainer.registry.registry import ModelRegistry
from trainer.run_folder import EXPORT_FOLDER


@dataclass(frozen=True)
class Project:
    """A declaration whose model has two versions; the first is the champion."""

    declaration: Path
    registry: ModelRegistry


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny pipeline of the trainer's tests, with two models that differ."""
    from trainer.export.export import export
    from trainer.training.training import train

    folder = tmp_path_factory.mktemp("serving")
    declaration = folder / "pipeline.yaml"
    declaration.write_text(yaml.safe_dump(DECLARATION))
    world = make_world(folder / "workspace")
    registry = ModelRegistry(world.root)
    for run, rate in (("first", 0.01), ("second", 0.03)):
        job = world.job(run, pipeline_of(training=training_with(learning_rate=rate)))
        train(job)
        export(job)
        registry.register("tiny", Path(job.run_folder) / EXPORT_FOLDER, run_id=run, metrics={})
    registry.promote("tiny", "1")
    return Project(declaration, registry)
