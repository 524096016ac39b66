"""A registered model that scores the rows of a frame."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from flows.prediction.predict import libraries_kept_quiet, score_table
from trainer.run_folder import MODEL_FILE
from transforms.contract.errors import BraidError
from transforms.contract.process.startup import quick_start

from .frames import FrameT, like, to_arrow

if TYPE_CHECKING:
    from trainer.export.serving import Scorer
    from trainer.registry.version import RegisteredVersion


class Model:
    """One version of a pipeline's registered model. It is loaded with the first prediction.

    Args:
        registered: What the registry says of the version.
        export: The folder of its export, a SavedModel that takes raw columns.
        run_folder: The folder of the run that made it; None if no run of Braid's did.
        allow: Where paths in its rows may lead, as `source.allow` is declared.
    """

    def __init__(
        self,
        registered: RegisteredVersion,
        export: Path,
        run_folder: Path | None,
        allow: tuple[str, ...] = (),
    ) -> None:
        self._registered = registered
        self._run_folder = run_folder
        self._allow = allow
        self.export = export

    def __repr__(self) -> str:
        aliases = f", {', '.join(self.aliases)}" if self.aliases else ""
        return f"Model({self.name} version {self.version}{aliases})"

    @property
    def name(self) -> str:
        """The registered model's name."""
        return self._registered.name

    @property
    def version(self) -> str:
        """Its number, as text."""
        return self._registered.version

    @property
    def aliases(self) -> tuple[str, ...]:
        """Such as "champion", when this object was made."""
        return self._registered.aliases

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of its evaluation, such as `test_price_mae`."""
        return dict(self._registered.metrics)

    @property
    def keras_file(self) -> Path:
        """The trained network, for `keras.models.load_model`; it takes what the shards hold.

        Raises:
            BraidError: The run is not there any more.
        """
        folder = self._run_folder
        path = None if folder is None else folder / MODEL_FILE
        if path is None or not path.exists():
            raise BraidError(
                f"version {self.version} of {self.name}",
                expected="the files of its run" + ("" if folder is None else f" in {folder}"),
                received=f"no {MODEL_FILE}",
                action="Use `export`, which the registry keeps, or train again.",
            )
        return path

    def predict(self, rows: FrameT, *, keep_invalid: bool = False) -> FrameT:
        """Returns a frame with the key, each target's prediction and `error`, in the rows' order.

        It is of the library that the rows are of, with the index of a pandas frame. A row that
        training would reject has no prediction, and its reason in the column `error`.

        Args:
            rows: Raw rows with the columns of the features and of the key; targets may be missing.
            keep_invalid: Whether such a row gets a prediction beside its error.

        Raises:
            BraidError: A column is missing or of another type, or there are no rows.
        """
        table = to_arrow(rows)
        with TemporaryDirectory(prefix="braid-") as folder, libraries_kept_quiet():
            source, output = Path(folder) / "rows.parquet", Path(folder) / "scores" / "all.parquet"
            output.parent.mkdir()
            pq.write_table(table, source)
            score_table(
                self._scorer,
                source,
                output,
                lambda _: None,
                allow=self._allow,
                keep_invalid=keep_invalid,
            )
            return like(rows, pq.read_table(output))

    @cached_property
    def _scorer(self) -> Scorer:
        with libraries_kept_quiet(), quick_start():
            from trainer.export.serving import load

            return load(self.export)
