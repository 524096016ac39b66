"""Measures the model on rows it has not seen, beside the baselines and the champion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from trainer.data.seam import check_seam
from trainer.data.shards import ShardFile, count_rows, shard_files, verify
from trainer.data.stream import BatchLayout, evaluation_batches, readable_errors, unshaped
from trainer.evaluation.baselines.fitting import fit_baselines
from trainer.evaluation.baselines.scoring import BaselineScores
from trainer.evaluation.champion import NotComparableError, score_champion
from trainer.evaluation.dependence import check_dependence
from trainer.evaluation.figures import Figures
from trainer.evaluation.importance import importances
from trainer.evaluation.intervals import few_rows
from trainer.evaluation.metrics import SplitScores
from trainer.evaluation.parity import largest_difference
from trainer.evaluation.resampling import resample
from trainer.evaluation.row_terms import MOST_BYTES, RowTerms
from trainer.evaluation.slices import find_slices
from trainer.evaluation.worst_rows import worst_rows
from trainer.export.calibration import kept_factors
from trainer.export.probabilities import kept_adjustments
from trainer.export.serving import load
from trainer.export.trained import Predict, predictor
from trainer.run_folder import CHOSEN_FILE, EXPORT_FOLDER, MODEL_FILE
from transforms.contract.process.events import report
from transforms.contract.steps.evaluation import (
    EVALUATION_FILE,
    EvaluationResult,
    Importance,
    MeasuredRows,
    MeasuredSlice,
    read_evaluation,
)
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.files import write_atomic

_MOST_ROWS = 256  # a small training batch would only slow the evaluation down


def evaluate(job: TrainJob) -> EvaluationResult:
    """Measures the trained model and commits `evaluation.json`.

    One that was made beside the same champion, and with all that is asked for, is not made again.

    Raises:
        BraidError: A shard is damaged, or the export answers otherwise than the model.
    """
    folder = Path(job.run_folder)
    earlier, asked = read_evaluation(folder), (job.champion, job.pipeline.evaluation)
    # An older version did not say what was asked for.
    if earlier is not None and (earlier.champion, earlier.declared) == asked:
        return earlier
    # TensorFloat-32 would make export and model differ by a thousandth on a GPU.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    result = _Evaluation(job).run()
    write_atomic(folder / EVALUATION_FILE, result.model_dump_json(indent=1))
    return result


class _Evaluation:
    def __init__(self, job: TrainJob) -> None:
        self._job = job
        self._pipeline = job.pipeline
        self._manifest = job.manifest()
        check_seam(self._pipeline, self._manifest)
        self._files = {split: shard_files(job, split) for split in ("validation", "test")}
        self._raw = shard_files(job, "test", "raw")
        verify((*self._files["validation"], *self._files["test"], *self._raw))
        self._warnings = [
            f"There are no {split} rows, so there are no {split} metrics."
            for split, files in self._files.items()
            if count_rows(files) == 0
        ]
        self._batch = self._manifest.batch_rows(_MOST_ROWS)
        self._test_terms = RowTerms(self._pipeline)
        self._champion_terms = RowTerms(self._pipeline)
        self._rows = sum(count_rows(files) for files in self._files.values())
        self._done = 0

    def run(self) -> EvaluationResult:
        predict = self._predictor(MODEL_FILE)
        # A model that was trained on the validation rows too says nothing about them.
        chosen = (Path(self._job.run_folder) / CHOSEN_FILE).exists()
        validating = self._predictor(CHOSEN_FILE) if chosen else predict
        figures = Figures(self._pipeline, self._manifest)
        baselines = self._baselines()
        metrics: dict[str, float] = {}
        for split, files in self._files.items():
            if count_rows(files):
                answering = validating if split == "validation" else predict
                metrics |= self._split(split, files, answering, figures, baselines)
        self._warnings += baselines.warnings(metrics)
        sentence = few_rows(self._pipeline, metrics, count_rows(self._files["validation"]))
        self._warnings += [sentence] if sentence else []
        export = load(Path(self._job.run_folder) / EXPORT_FOLDER)
        check_dependence(self._manifest, export, self._raw)
        champion_metrics, problem = self._champion()
        test, slices = self._resampled()
        return EvaluationResult(
            metrics=metrics,
            baselines=baselines.results(),
            champion=self._job.champion,
            champion_metrics=champion_metrics,
            champion_problem=problem,
            parity=largest_difference(
                self._pipeline, self._manifest, predict, export, self._files["test"], self._raw
            ),
            rows=self._rows,
            figures=figures.results(),
            warnings=tuple(self._warnings),
            declared=self._pipeline.evaluation,
            test=test,
            slices=slices,
            importance=self._importance(predict),
            worst=worst_rows(
                self._pipeline,
                self._manifest,
                predict,
                self._test_terms.losses(),
                (self._files["test"], self._raw),
                self._batch,
            ),
        )

    def _importance(self, predict: Predict) -> tuple[Importance, ...]:
        if not self._pipeline.evaluation.importance:
            return ()
        files = self._files["test"]
        return importances(self._pipeline, self._manifest, predict, files, self._batch)

    def _resampled(self) -> tuple[MeasuredRows | None, tuple[MeasuredSlice, ...]]:
        """Returns the metrics of the test rows and their slices, with what chance makes of them."""
        rows, declared = count_rows(self._files["test"]), self._pipeline.evaluation
        if not rows:
            return None, ()
        if self._test_terms.is_too_large:
            self._warnings.append(
                f"There are no intervals and no slices, as what the metrics need of {rows:,} test "
                f"rows is more than {MOST_BYTES / 1024**3:g} GiB."
            )
            return None, ()
        champion = self._champion_terms.measures("test")
        slices = find_slices(declared, self._manifest, self._raw)
        seed = self._pipeline.training.seed
        model = self._test_terms.measures("test")
        test, measured = resample(declared, rows, model, champion, slices, seed=seed)
        return test.model_copy(update={"labelled": self._test_terms.labelled()}), measured

    def _predictor(self, file: str) -> Predict:
        folder = Path(self._job.run_folder)
        factors = kept_factors(self._pipeline, folder)
        adjustments = kept_adjustments(self._pipeline, folder)
        return predictor(self._pipeline, self._manifest, folder, file, factors, adjustments)

    def _baselines(self) -> BaselineScores:
        training, validation = shard_files(self._job, "train"), self._files["validation"]
        fitted = fit_baselines(self._pipeline, self._manifest, training, validation)
        return BaselineScores(self._pipeline, self._manifest, fitted)

    def _split(
        self,
        split: str,
        files: Sequence[ShardFile],
        predict: Predict,
        figures: Figures,
        baselines: BaselineScores,
    ) -> dict[str, float]:
        everything = frozenset(self._pipeline.targets)
        terms = self._test_terms if split == "test" else None
        scores = SplitScores(self._pipeline, self._manifest, everything, terms)
        layout = BatchLayout.for_evaluation(self._pipeline, self._manifest)
        with readable_errors(files):
            for inputs, targets, weights in evaluation_batches(files, layout, self._batch):
                predictions = predict(inputs)
                truths = {name: unshaped(truth.numpy()) for name, truth in targets.items()}
                rows = {name: weight.numpy() for name, weight in weights.items()}
                scores.update(predictions, truths, rows)
                baselines.update(split, inputs, predictions, truths, rows)
                if split == "test":
                    figures.update(predictions, truths, rows, inputs)
                self._done += len(next(iter(truths.values())))
                report(self._done, self._rows, unit="rows")
        results = scores.results(split)
        self._warnings += [
            f"{name} is not defined on these rows."
            for name in self._pipeline.metric_names()
            if name.startswith(f"{split}_") and name not in results
        ]
        return results

    def _champion(self) -> tuple[dict[str, float] | None, str | None]:
        """Returns the champion's metrics, or why there is one that could not be scored."""
        if self._job.champion is None:
            return None, None
        try:
            metrics = score_champion(
                self._job.champion,
                self._pipeline,
                self._manifest,
                self._raw,
                self._batch,
                self._champion_terms,
            )
        except NotComparableError as error:
            self._champion_terms = RowTerms(self._pipeline)  # of some rows only, perhaps
            return None, str(error)
        return metrics, None
