"""The page on the files of a workspace; names are those by which the code writes them.

In a place a name in angle brackets stands for one of a user's or of Braid's, and `**` for files
that a library writes, in whatever folders. Temporary files, `.tmp-...`, are not there: a process
that is killed leaves them, and the next one removes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from flows.process.attempt import ATTEMPTS_FOLDER, LOCK_FILE
from flows.process.inputs import INPUTS_FOLDER
from flows.process.run_note import NOTE_FILE
from flows.records import backfill_record
from flows.records.record import DECLARED_FILE, PAGE_FILE, PICTURE_FILE, RECORD_FILE, SUMMARY_FILE
from reference.documents import table
from trainer.run_folder import (
    CHECKPOINT_FOLDER,
    CHOSEN_FILE,
    DECLARATION_FILE,
    EXPORT_FOLDER,
    HISTORY_FILE,
    LINEAR_FILE,
    MODEL_FILE,
    PROBABILITIES_FILE,
    RECIPE_FILE,
    SPREAD_FILE,
)
from transforms.contract.steps.evaluation import EVALUATION_FILE
from transforms.contract.steps.monitoring import ANSWERS_FILE
from transforms.contract.workspace.layout import (
    COUNTS_SUFFIX,
    EDGES_FILE,
    GRAPH_FOLDER,
    MANIFEST_FILE,
    MOMENTS_FILE,
    QUANTILES_FILE,
    REFERENCE_FILE,
    SCALES_FILE,
    TRANSFORM_FILE,
    Workspace,
)

_INTRODUCTION = """# Files of a workspace

All that runs make lies in the folder `workspace` beside the declaration, or in that of
`--workspace`. It may be moved or copied as a whole. No file runs code when it is read, but a
SavedModel. `braid check` holds all of it against what was written, `braid prune` says what nothing
needs. Names in angle brackets stand for others: `<transform>`, `<run>` and the like are made by
Braid, and `<partition>` is a partition's name with the fingerprint of its files.

With a [`store`](../store.md) the folders `transforms`, `statistics`, `shards` and `rejects` lie
there. In a bucket a partition's manifest is `manifests/<transform>/<partition>.json`, its receipts
are `units/<transform>/<partition>.<unit>.json`, and shards have their checksum in their names.
`leases/<kind>/<name>.json` says who works on what, `needs/<workspace>.json` what each workspace
needs. A run that is handed over lies in `runs/<pipeline>/<run>-<id>/`: `contents.json` names its
files.

"""
_PLACES = Workspace(Path())
_TRANSFORM = _PLACES.transform("<transform>")
_STATISTICS = _TRANSFORM / "statistics"
_SHARDS = _PLACES.shards("<transform>", "<partition>", "").parent / "<partition>"
_REJECTS = _PLACES.rejects("<transform>", "<partition>", "").parent / "<partition>"
_WINDOWS = _PLACES.windows("<fingerprint>")
_RUN = _PLACES.run("<pipeline>", "<run>")
_CHECKPOINTS = _RUN / CHECKPOINT_FOLDER
_ATTEMPT = _RUN / ATTEMPTS_FOLDER / "<step>"
_BACKFILL = _PLACES.backfills("<pipeline>") / "<backfill>"
_TUNING = _PLACES.tunings("<pipeline>") / "<tuning>"

FILES: tuple[tuple[Path, str], ...] = (
    (_TRANSFORM / TRANSFORM_FILE, "what a transform is: the declaration of the data, what it was "
     "frozen on, what the shards hold; written last"),
    (_TRANSFORM / GRAPH_FOLDER / "**", "the graph from raw columns to stored values, a SavedModel"),
    (_STATISTICS / MOMENTS_FILE, "means and deviations of the training rows"),
    (_STATISTICS / QUANTILES_FILE, "their quantiles"),
    (_STATISTICS / EDGES_FILE, "the edges between which encoders treat numbers apart"),
    (_STATISTICS / SCALES_FILE, "which targets are learnt on a log scale"),
    (_STATISTICS / REFERENCE_FILE, "what drift is measured against"),
    (_STATISTICS / "vocabularies/<name>.txt", "the terms of a column or the labels of a target, "
     "one a line"),
    (_STATISTICS / f"vocabularies/<name>{COUNTS_SUFFIX}", "how often each of them occurs"),
    (Path("statistics/<declaration>/<partition>.arrow"), "what a partition's training rows add up "
     "to, so that they are not read again"),
    (Path("keys/<fingerprint>/<partition>.npy"), "hashes of a partition's keys, by which one that "
     "is there twice is seen"),
    (Path("drift/<transform>/<fingerprint>.json"), "how far new partitions are from those that the "
     "transform was frozen on"),
    (Path("drift/<transform>/<fingerprint>.job.json"), "what the process that did so was told"),
    (Path("drift/<transform>/<fingerprint>.log"), "what libraries wrote in it"),
    (_SHARDS / MANIFEST_FILE, "a partition's shards with their sizes and checksums, its rows and "
     "rejects; with it they are committed"),
    (_SHARDS / "<split>-<unit>-<shard>.tfrecord", "stored rows as `tf.Example`"),
    (_SHARDS / "raw-test-<unit>-<shard>.tfrecord", "the test rows with their raw columns, for the "
     "export and the champion"),
    (_SHARDS / "units/<unit>.json", "receipts of work that is done, until the manifest is there"),
    (_REJECTS / "<unit>.parquet", "rejected rows: key, file, column, reason and raw value"),
    (_PLACES.beam_jobs() / "<job>.job", "a job on a cluster that a run waits for, by its id; with "
     "`<job>.lock`, which is free once nobody waits"),
    (_PLACES.beam_jobs() / "<job>.arrived", "the first worker of such a job, until it ends"),
    (_PLACES.beam_jobs() / "predict-<id>/<folder>/<file>", "job and log of a `braid predict` on a "
     "runner, until it ends well"),
    (_PLACES.beam_jobs() / "doctor-<id>.log", "what libraries wrote when `braid doctor` met a "
     "broken link"),
    (Path("braid-store.json"), "the name by which stores know the workspace; the same file in a "
     "store on a disk says whose that is"),
    (Path("cache/<store>/**"), "verified copies of what lies in a bucket, unless `BRAID_CACHE` "
     "names another folder"),
    (_WINDOWS / "<table>.parquet", "windows that were cut from a long table"),
    (_WINDOWS / "windows.json", "how many, and how many were left out"),
    (_RUN / RECORD_FILE, "[the record of the run](run.md), after every step"),
    (_RUN / DECLARED_FILE, "the whole declaration, without secrets, for `braid compare`"),
    (_RUN / SUMMARY_FILE, "the summary, as the terminal shows it"),
    (_RUN / PICTURE_FILE, "the report as a picture"),
    (_RUN / PAGE_FILE, "the report as a page that loads nothing"),
    (_RUN / EVALUATION_FILE, "metrics, slices, intervals, curves, importance, the worst rows"),
    (_RUN / ANSWERS_FILE, "the answers for the test rows, which a monitored day is held against"),
    (_RUN / HISTORY_FILE, "losses, metrics and seconds of every epoch"),
    (_RUN / RECIPE_FILE, "how it trained, as the training rows or the declaration have it"),
    (_RUN / MODEL_FILE, "the trained model on stored values, for Keras"),
    (_RUN / CHOSEN_FILE, "the one that the validation rows chose, if it was trained on them after"),
    (_RUN / LINEAR_FILE, "the linear model that answers are blended with"),
    (_RUN / SPREAD_FILE, "the factors of `<target>__spread`"),
    (_RUN / PROBABILITIES_FILE, "calibration and thresholds"),
    (_RUN / EXPORT_FOLDER / DECLARATION_FILE, "what the export takes and was trained with"),
    (_RUN / EXPORT_FOLDER / "**", "the model on raw columns, a SavedModel that needs TensorFlow "
     "alone"),
    (_RUN / "jobs/<step>.json", "what a step's process was told"),
    (_RUN / "logs/<step>.log", "what libraries wrote in it"),
    (_CHECKPOINTS / "state.json", "the last whole epoch of a training that has not ended"),
    (_CHECKPOINTS / "epoch-<number>.npz", "its weights, and those of the best one"),
    (_CHECKPOINTS / "within-epoch.npz", "the batch that was reached, with all that goes on there"),
    (_CHECKPOINTS / "warm_start.json", "what it began with, if that was a registered model"),
    (_CHECKPOINTS / "refit/<file>", "the same of the training on validation rows too"),
    (_RUN / LOCK_FILE, "held while a step of the run works on another machine"),
    (_ATTEMPT / "<file>.json", "what that machine was told, how far it is, and how it ended"),
    (_RUN / NOTE_FILE, "what of the run was in a bucket when it was last put there or taken"),
    (_RUN / INPUTS_FOLDER / "**", "on a machine that a step came to by a bucket: the champion, "
     "what a warm start begins with, modules of the user's own"),
    (_BACKFILL / backfill_record.RECORD_FILE, "the record of a backfill"),
    (_BACKFILL / "<folder>/<file>", "jobs and logs of its steps"),
    (_TUNING / RECORD_FILE, "the record of a tuning up to its shards"),
    (_TUNING / "trials/<number>.json", "a trial: its keys and losses"),
    (_TUNING / "<folder>/<file>", "jobs and logs of its steps"),
    (Path("registry.db"), "the registry, in MLflow's database"),
    (Path("registry/**"), "exports and files of registered versions, as MLflow lays them out"),
    (_PLACES.lock("run", "<name>").parent.parent / "<kind>/<name>.lock", "locks of the operating "
     "system; empty, and free once their holders are gone"),
)  # fmt: skip


def workspace_page() -> str:
    """Returns the page, in Markdown."""
    return _INTRODUCTION + table(("file", "what it is"), _rows()) + "\n"


def is_on_page(file: str) -> bool:
    """Returns whether the page has a file, by its path below the workspace."""
    return any(re.fullmatch(_pattern(place), file) for place, _ in FILES)


def _pattern(place: Path) -> str:
    parts = re.split(r"(<\w+>|\*\*)", place.as_posix())
    return "".join(
        ".+" if part == "**" else "[^/]+" if part.startswith("<") else re.escape(part)
        for part in parts
    )


def _rows() -> Iterator[tuple[str, str]]:
    return ((f"`{place.as_posix()}`", what) for place, what in FILES)
