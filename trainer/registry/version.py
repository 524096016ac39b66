"""A registered version, as the registry describes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

RUN_TAG = "braid.run"
FILES_TAG = "braid.model_files"  # checksums of what MLflow reads beside an export


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model.

    Attributes:
        name: The registered model's name.
        version: Its number, as text.
        run_id: The run that made it.
        source: Where its export lies, as a URI; `ModelRegistry.export_folder` gives a folder.
        created_ms: When it was registered, in milliseconds since 1970.
        aliases: Such as "champion".
        metrics: By metric name.
        tags: Fingerprints and partitions of the run.
    """

    name: str
    version: str
    run_id: str
    source: str
    created_ms: int
    aliases: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def run(self) -> tuple[str, str] | None:
        """The pipeline and the id of the run that made it; None if no run of Braid's did."""
        pipeline, _, run = self.run_id.partition("/")
        return (pipeline, run) if pipeline and run else None

    def model_files(self) -> dict[str, str]:
        """Returns the checksums of what MLflow reads beside the export; older versions have none.

        Raises:
            ValueError: The tag that has them was edited.
        """
        known = json.loads(self.tags.get(FILES_TAG, "{}"))
        return {str(name): str(value) for name, value in known.items()}
