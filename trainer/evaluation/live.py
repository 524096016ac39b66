"""The metrics of served rows whose labels came later, with what chance makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer.data.stream import as_learnt, unshaped
from trainer.evaluation.metrics import SplitScores
from trainer.evaluation.resampling import resample
from trainer.evaluation.row_terms import RowTerms
from trainer.network.heads import head_of
from transforms.contract.steps.evaluation import MeasuredRows
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.monitoring import (
    ANSWER_PREFIX,
    KNOWN_PREFIX,
    LABELLED_FILE,
    TRUTH_PREFIX,
)
from transforms.contract.workspace.documents import reading

SPLIT = "live"  # the metrics' names begin with it, where those of test rows begin with "test"


def live(job: TrainJob) -> MeasuredRows:
    """Measures the answers that lie in the job's run folder beside the labels of their rows.

    The metrics are those that an evaluation gives of test rows, and so is the bootstrap. A target
    without labels has none, and there is no loss, as that of some targets would be another.

    Raises:
        BraidError: The file with the answers is damaged, or the transform is gone.
    """
    path = Path(job.run_folder) / LABELLED_FILE
    with reading(path), np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    answers = _with_prefix(arrays, ANSWER_PREFIX)
    known = _with_prefix(arrays, KNOWN_PREFIX)
    truths = _with_prefix(arrays, TRUTH_PREFIX)
    if not any(rows.any() for rows in known.values()):
        return MeasuredRows(rows=0)
    manifest = job.manifest()
    stored = {each.name: each for each in manifest.stored if each.role == "target"}
    targets = {name: job.pipeline.targets[name] for name in known}
    pipeline = job.pipeline.model_copy(update={"targets": targets})
    terms = RowTerms(pipeline)
    scores = SplitScores(pipeline, manifest, frozenset(targets), terms)
    predictions = answers | {
        name: head_of(t).predictions(name, answers) for name, t in targets.items()
    }
    learnt = {
        name: unshaped(as_learnt(stored[name], tf.constant(truth)).numpy())
        for name, truth in truths.items()
    }
    scores.update(
        predictions, learnt, {name: rows.astype(np.float32) for name, rows in known.items()}
    )
    rows = len(next(iter(known.values())))
    measures = {n: m for n, m in terms.measures(SPLIT).items() if n != f"{SPLIT}_loss"}
    whole, _ = resample(pipeline.evaluation, rows, measures, {}, (), seed=pipeline.training.seed)
    metrics = {n: v for n, v in scores.results(SPLIT).items() if n != f"{SPLIT}_loss"}
    return whole.model_copy(update={"metrics": metrics})


def _with_prefix(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
