"""`report.html`: a run on one self-contained page, at most 3 MB, without any network."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from flows.records.record import PAGE_FILE, RunRecord
from flows.report.page import sections
from flows.report.page.columns import Distribution, distributions
from flows.report.page.markup import anchor, document, text
from flows.report.rejects import read_rejects, shown_value
from flows.report.summary import outcome
from flows.steps.work import Work
from trainer.run_folder import read_rounds
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.steps.evaluation import read_evaluation
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.partition import Partition
from transforms.reading.cutting import committed_windows

MOST_BYTES = 3_000_000
_LONGEST_VALUE = 80
_WITHOUT_VALUE = "missing"  # the reason of a reject that has none to show
_SECTIONS = (
    "Metrics", "Targets", "Slices", "Importance", "Worst rows", "Training", "Columns", "Rows",
    "Steps", "Declaration",
)  # fmt: skip


def write_page(work: Work, record: RunRecord) -> None:
    """Writes a run's page into its folder. A sample of the rows that train is read once more.

    Args:
        work: The run's work.
        record: The run's record.
    """
    trained: tuple[Partition, ...] = work.trained
    if work.pipeline.source.windows is not None:
        committed = committed_windows(work.workspace, trained[0])
        trained = () if committed is None else (committed[0],)
    columns = _distributions(record, work, trained)
    examples = _examples(record, work, trained)
    written = page(work.folder, record, work.pipeline, columns, examples)
    write_atomic(work.folder / PAGE_FILE, written)


def page(
    folder: Path,
    record: RunRecord,
    pipeline: PipelineSpec,
    columns: tuple[Sequence[Distribution], int],
    examples: dict[tuple[str, str], str],
) -> str:
    """Returns a run's page.

    Args:
        folder: The run's, with the history and the evaluation of its model.
        record: Its record.
        pipeline: The declaration.
        columns: The columns' distributions, and of how many rows they are.
        examples: The value of a rejected row by column and reason.
    """
    evaluation, rounds = read_evaluation(folder), read_rounds(folder)
    while True:
        body = [
            sections.metrics(record, evaluation),
            sections.targets(evaluation),
            sections.slices(evaluation, pipeline),
            sections.importance(evaluation),
            sections.worst(evaluation),
            sections.training(record, rounds),
            sections.columns(pipeline, *columns, record),
            sections.rows(record, examples),
            sections.done(record),
            sections.declaration(record, pipeline),
        ]
        head = [_contents(body), sections.heading(record, outcome(record))]
        written = document(f"{record.pipeline}, run {record.run_id}", [*head, *body])
        if len(written.encode()) <= MOST_BYTES or evaluation is None or not evaluation.worst:
            return written
        # Pictures are what takes room.
        evaluation = evaluation.model_copy(update={"worst": evaluation.worst[:-1]})


def _contents(body: Sequence[str]) -> str:
    links = (
        f'<a href="#{anchor(name)}">{text(name)}</a>'
        for name, content in zip(_SECTIONS, body, strict=True)
        if content
    )
    return f"<nav>{''.join(links)}</nav>"


def _distributions(
    record: RunRecord, work: Work, partitions: Sequence[Partition]
) -> tuple[list[Distribution], int]:
    manifest = work.workspace.read_transform(record.transform)
    frozen = manifest.partitions if manifest is not None else {}
    try:
        return distributions(work.pipeline, partitions, frozen)
    except (BraidError, OSError):  # the model is registered; a source that is gone now undoes none
        return [], 0


def _examples(
    record: RunRecord, work: Work, partitions: Sequence[Partition]
) -> dict[tuple[str, str], str]:
    """Returns the value of the record's example of each reject, as far as it can be read."""
    wanted = {
        (each.column, each.reason): each.example_key
        for each in record.rejects
        if each.reason != _WITHOUT_VALUE
    }
    examples: dict[tuple[str, str], str] = {}
    folders = (work.workspace.rejects(record.transform, *part.id) for part in partitions)
    with suppress(BraidError):  # as above: the rest is shown
        for reject in chain.from_iterable(read_rejects(work.pipeline, path) for path in folders):
            if not wanted:
                break
            place = (reject.column, reject.reason)
            if wanted.get(place) == reject.key:
                del wanted[place]
                examples[place] = _short(shown_value(reject.value))
    return examples


def _short(words: str) -> str:
    return words if len(words) <= _LONGEST_VALUE else f"{words[:_LONGEST_VALUE]}…"
