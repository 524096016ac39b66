"""The scoring of a table into a folder: what a process of its own is handed, and the outcome."""

from __future__ import annotations

from pathlib import Path

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.transform import BeamSpec, StoreSpec
from transforms.contract.error_report import ErrorReport
from transforms.contract.fingerprint import fingerprint
from transforms.contract.spec import Spec
from transforms.contract.steps.results import Result
from transforms.contract.steps.step import Step
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition


class Scoring(Spec):
    """All that decides on a row's predictions, beside the row.

    Attributes:
        model: The registered model's name.
        version: Its number, as text.
        declaration: The fingerprint of what the version's export says of its declaration and of
            its transform: another registry has another version 1.
        keep_invalid: Whether rows that training would reject get a prediction beside their error.
    """

    model: str
    version: str
    declaration: str
    keep_invalid: bool = False

    def key(self, partition: Partition) -> str:
        """Returns the name of the predictions of a partition as its files are now."""
        return fingerprint([self.model_dump(), *partition.id])


class ScoreJob(Spec):
    """The scoring of some partitions of a table.

    Attributes:
        table: The model's declaration as it reads the table.
        beam: The runner that does it.
        workspace: Where workers say that they are there, unless the store is a bucket.
        store: The declared store; one in a bucket takes the export to the workers, too.
        export: The folder of the model's export.
        scoring: Which model, and how.
        output: The folder of the predictions, a path or a URL.
        partitions: The partitions that are not scored yet.
        carried: Where in the bucket workers find the export, as they may not see its folder.
    """

    table: PipelineSpec
    beam: BeamSpec
    workspace: str
    store: StoreSpec | None = None
    export: str
    scoring: Scoring
    output: str
    partitions: tuple[Partition, ...]
    carried: str | None = None

    def folders(self) -> Workspace:
        """Returns the workspace, with the store that is declared for it."""
        return Workspace.declared(Path(self.workspace), self.store)


class PartitionOutcome(Result):
    """The outcome of scoring one partition.

    Attributes:
        name: The partition's name.
        rows: Its rows.
        scored: Those of them with a prediction.
        reasons: How many of its rows have which error.
        error: Why it is not scored; None if it is.
    """

    name: str
    rows: int = 0
    scored: int = 0
    reasons: dict[str, int] = {}
    error: ErrorReport | None = None


class ScoreResult(Result):
    """The result of a scoring; the predictions lie in their folder.

    Attributes:
        partitions: In the order in which they were done.
    """

    partitions: tuple[PartitionOutcome, ...]


SCORE = Step("flows.prediction", "score", ScoreJob, ScoreResult)
