"""A model's export on its way to workers that share no folder with the machine that has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.prediction.score_job import ScoreJob
from trainer.run_folder import DECLARATION_FILE
from transforms.contract.fingerprint import fingerprint
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.cache import local_folder, upload_folder
from transforms.contract.workspace.files import remove


@contextmanager
def carried(job: ScoreJob) -> Iterator[ScoreJob]:
    """Gives a job whose workers find its export in the store while the block runs.

    Without a store in a bucket it is the job as it is: workers see the export by its path.

    Raises:
        StoreFailed: The bucket cannot be written.
    """
    signs = job.folders().beam_signs()
    if signs is None:
        yield job
        return
    # One command at a time writes into an output, so that what is there is a killed one's.
    own = signs / f"predict-{fingerprint(job.output)}"
    place = own / fingerprint(job.scoring.model_dump())
    remove(own)
    try:
        upload_folder(Path(job.export), place, last=DECLARATION_FILE)
        yield job.model_copy(update={"carried": place.key})
    finally:
        remove(own)


def export_here(job: ScoreJob) -> str:
    """Returns the folder of a job's export on this machine, which it is copied to if need be.

    Raises:
        DamagedFile: Something of it is gone from the store, or other than it was written.
    """
    store = job.folders().store
    if job.carried is None or not isinstance(store, BucketPath):
        return job.export
    return str(local_folder(BucketPath(store.bucket, job.carried)))
