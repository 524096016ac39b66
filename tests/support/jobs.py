"""Jobs of steps, as a run would make them, and processes of their own for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.jobs import TrainJob, TransformJob
from transforms.contract.workspace.transform_choice import transform_fingerprint
from transforms.source.scan import scan


def transform_job(pipeline: PipelineSpec, workspace: Path) -> TransformJob:
    """Returns the job over the partitions as they are now."""
    partitions = scan(pipeline.source).partitions
    return TransformJob(
        pipeline=pipeline,
        workspace=str(workspace),
        transform=transform_fingerprint(pipeline, partitions),
        partitions=partitions,
    )


def train_job(job: TransformJob, folder: Path) -> TrainJob:
    """Returns the job of a run on everything that a transform made."""
    return TrainJob(
        pipeline=job.pipeline,
        workspace=job.workspace,
        transform=job.transform,
        partitions=tuple(part.id for part in job.partitions),
        run_folder=str(folder),
    )


def output_of(module: str, job: TrainJob, folder: Path) -> str:
    """Runs a module on a job in a process of its own and returns what it writes.

    The number of devices, for one, is fixed when TensorFlow starts.
    """
    path = folder / "job.json"
    path.write_text(job.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-m", module, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout
