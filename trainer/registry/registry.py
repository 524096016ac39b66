"""Registered model versions, in MLflow: on SQLite in the workspace, or wherever `uri` points."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from trainer.registry.champions import (
    BY_HAND,
    CHAMPION,
    GATE_TAG,
    Cause,
    ChampionChange,
    History,
    gate_sentence,
    move_champion,
    read_history,
)
from trainer.registry.forgetting import forget_version
from trainer.registry.model_files import Description
from trainer.registry.own_database import DATABASE_FILE, OwnDatabase, local_path
from trainer.registry.run_entry import (
    RunDetails,
    RunEnd,
    end_run,
    experiment_of,
    log_details,
    log_export,
    run_of,
)
from trainer.registry.searches import equals, every
from trainer.registry.version import RUN_TAG, RegisteredVersion
from transforms.contract.errors import BraidError
from transforms.contract.masking import masked
from transforms.contract.servers import problem_of
from transforms.contract.workspace.files import replacing
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import waiting_lock

CHALLENGER = "challenger"
_NO_DETAILS = RunDetails()
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Instead of 7 times 2 minutes. A server that is down at the start is told within seconds; this
    # is for one that is lost later, and an upload may have to wait for the server's own storage.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "PGCONNECT_TIMEOUT": "10",  # libpq waits for ever
}


class ModelRegistry:
    """The registered models of a workspace.

    Args:
        workspace: The workspace's folder. Without a `uri` it holds the database `registry.db`,
            and in any case, short of an MLflow server, the exports in `registry/`.
        uri: An MLflow tracking URI.

    Attributes:
        uri: The tracking URI, with a password if it has one.
        artifacts: The folder that exports lie in, short of an MLflow server.
    """

    def __init__(self, workspace: Path, uri: str | None = None) -> None:
        self._workspace = workspace.absolute()
        self.artifacts = self._workspace / "registry"
        self._own = None if uri else OwnDatabase(self._workspace / DATABASE_FILE, self.artifacts)
        self.uri = uri or f"sqlite:///{self._workspace / DATABASE_FILE}"
        self._connected: Any = None

    @property
    def on_server(self) -> bool:
        """Whether an MLflow server has it, which knows by itself where artifacts go."""
        return self.uri.startswith(("http://", "https://"))

    @property
    def address(self) -> str:
        """Its address for people: its URI without the password, or the database's file."""
        return str(self._own.path) if self._own else masked(self.uri)

    @property
    def is_missing(self) -> bool:
        """Whether it is the workspace's own and not there (yet)."""
        return self._own is not None and not self._own.path.exists()

    def missing_part_of(self, name: str, version: str) -> str | None:
        """Returns what of a registered version is not there, in words, or None if all is.

        Raises:
            BraidError: The registry cannot be reached or refuses.
        """
        if self.is_missing:
            return f"no {self.address}"
        if self._own is None:
            registered = self.find(name, version=version) is not None
            return None if registered else f"no version {version} of {name} in {self.address}"
        folder = self._own.export_of(name, version)
        if folder is None:
            return f"no version {version} of {name} in {self.address}"
        return None if folder.exists() else f"no {folder}"

    def register(
        self,
        name: str,
        export: Path,
        *,
        run_id: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str] | None = None,
        shown: RunDetails = _NO_DETAILS,
        described: Description | None = None,
    ) -> str:
        """Copies an export into the registry as a new version with the alias `challenger`.

        A run has one version: registering it again, also after a crash, gives that version.

        Args:
            name: The registered model's name.
            export: The export's folder.
            run_id: The run that made it.
            metrics: Its evaluation.
            tags: Fingerprints and partitions.
            shown: What else the run's page shows.
            described: What MLflow is to know of the export, to open it.

        Returns:
            The version.

        Raises:
            BraidError: The registry cannot be reached or refuses.
        """
        with self._readable(), self._alone():
            client = self._client()
            if name not in [model.name for model in every(client.search_registered_models)]:
                client.create_registered_model(name)
            registered = self._version_of_run(name, run_id)
            if registered is None:
                location = None if self.on_server else self.artifacts.as_uri()
                experiment = experiment_of(client, name, location)
                run = run_of(client, experiment, (RUN_TAG, run_id), tags or {}, shown)
                log_details(client, run, metrics, shown)
                source, checksums = log_export(client, run, export, described)
                client.set_terminated(run)
                own = {**(tags or {}), **checksums, RUN_TAG: run_id}
                # Last: a version whose files are not all there must not be found.
                registered = client.create_model_version(name, source, run_id=run, tags=own)
            client.set_registered_model_alias(name, CHALLENGER, str(registered.version))
            return str(registered.version)

    def end_run(self, name: str, version: str, end: RunEnd) -> None:
        """Notes beside a version how the run ended that made it.

        Raises:
            BraidError: There is no such version, or the registry cannot be reached.
        """
        with self._readable():
            client = self._client()
            end_run(client, client.get_model_version(name, version).run_id, end)

    def promote(self, name: str, version: str, cause: Cause = BY_HAND) -> ChampionChange | None:
        """Makes a version the champion, and notes in the registry who did it, when and why.

        Returns:
            What was noted, or None if it is the champion already.

        Raises:
            BraidError: There is no such version, or another champion than the cause speaks of.
        """
        with self._readable(), self._alone():
            return move_champion(self._client(), name, version, cause)

    def note_gate(self, name: str, version: str, sentence: str) -> None:
        """Keeps beside a version what the gate said of it; long sentences are cut.

        Raises:
            BraidError: There is no such version.
        """
        with self._readable():
            client = self._client()
            client.set_model_version_tag(name, version, GATE_TAG, gate_sentence(sentence))

    def history(self, name: str) -> History:
        """Returns how versions were registered and which was the champion when, and why."""
        if name not in self.models():
            return History()
        with self._readable():
            client = self._client()
            versions = every(client.search_model_versions, filter_string=equals("name", name))
            return read_history(client, name, versions, RUN_TAG)

    def champion(self, name: str) -> RegisteredVersion | None:
        """Returns the present champion, if there is one."""
        return self.find(name, alias=CHAMPION)

    def find(
        self, name: str, *, alias: str | None = None, version: str | None = None
    ) -> RegisteredVersion | None:
        """Returns the version of a number, or else with an alias; None if there is none."""
        versions = self.versions(name)
        if version is not None:
            return next((each for each in versions if each.version == version), None)
        return next((each for each in versions if alias in each.aliases), None)

    def version_with(self, name: str, alias: str) -> str | None:
        """Returns the number of the version with an alias, or None; reads nothing else of them.

        Raises:
            BraidError: The registry cannot be reached or refuses.
        """
        if name not in self.models():
            return None
        with self._readable():
            version = self._client().get_registered_model(name).aliases.get(alias)
        return None if version is None else str(version)

    def versions(self, name: str) -> tuple[RegisteredVersion, ...]:
        """Returns every version of a model, the newest first; none if there is no such model."""
        if name not in self.models():
            return ()
        with self._readable():
            client = self._client()
            # A search gives versions without their aliases.
            aliases = client.get_registered_model(name).aliases
            listed = every(client.search_model_versions, filter_string=equals("name", name))
            versions = [self._describe(version, aliases) for version in listed]
        return tuple(sorted(versions, key=lambda version: -int(version.version)))

    def models(self) -> tuple[str, ...]:
        """Returns the name of every registered model."""
        if self.is_missing:
            return ()  # looking does not create the database
        with self._readable():
            return tuple(sorted(m.name for m in every(self._client().search_registered_models)))

    def export_folder(self, version: RegisteredVersion) -> Path:
        """Returns a local folder with a version's export; one on a server is downloaded once.

        Raises:
            BraidError: The export is not there any more.
        """
        folder = local_path(version.source)
        if folder is None:
            folder = self._downloaded(version)
            if not folder.exists():
                self._download(version, folder)
        if not folder.exists():
            raise BraidError(
                f"version {version.version} of {version.name}",
                expected=f"its export in {folder}",
                received="no such folder",
                action="Bring it back, or give the alias to another version.",
            )
        return folder

    def local_folders(self, version: RegisteredVersion) -> tuple[Path, ...]:
        """Returns the folders here that hold a version alone: its files, or their download."""
        export = local_path(version.source)
        downloaded = self._downloaded(version)
        return (downloaded,) if export is None else (export.parent.parent, downloaded)

    def remove(self, version: RegisteredVersion) -> None:
        """Forgets a version and its MLflow run; folders are the caller's to remove.

        Raises:
            BraidError: It has an alias by now, or the registry cannot be reached.
        """
        with self._readable(), self._alone():
            forget_version(self._client(), version.name, version.version)

    def _downloaded(self, version: RegisteredVersion) -> Path:
        return self.artifacts / "downloads" / version.name / version.version

    def _download(self, version: RegisteredVersion, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._readable(),
            replacing(folder) as temporary,
            tempfile.TemporaryDirectory(dir=folder.parent) as scratch,
        ):
            from mlflow.artifacts import download_artifacts

            downloaded = download_artifacts(
                artifact_uri=version.source, dst_path=scratch, tracking_uri=self.uri
            )
            Path(downloaded).rename(temporary)

    def _version_of_run(self, name: str, run_id: str) -> Any:
        versions = every(self._client().search_model_versions, filter_string=equals("name", name))
        return next((version for version in versions if version.tags.get(RUN_TAG) == run_id), None)

    def _describe(self, version: Any, aliases: Mapping[str, Any]) -> RegisteredVersion:
        number = str(version.version)
        return RegisteredVersion(
            name=version.name,
            version=number,
            run_id=version.tags.get(RUN_TAG, ""),
            source=version.source,
            created_ms=version.creation_timestamp,
            aliases=tuple(sorted(a for a, other in aliases.items() if str(other) == number)),
            metrics=dict(self._client().get_run(version.run_id).data.metrics),
            tags=dict(version.tags),
        )

    def _client(self) -> Any:
        """Connects on the first use: importing MLflow takes two seconds."""
        if self._connected is None:
            problem = problem_of(self.uri)
            if problem is not None:
                raise self._unreachable(problem)
            for name, value in _SETTINGS.items():
                os.environ.setdefault(name, value)
            from mlflow.tracking import MlflowClient

            logging.getLogger("alembic").setLevel(logging.WARNING)
            # It writes the traceback of what it raises, too.
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
            # Two processes on a fresh database would both create its tables.
            with self._alone("connecting"):
                if self._own is not None:
                    self._own.readdress()
                self._connected = MlflowClient(self.uri, self.uri)
                self._connected.search_registered_models(max_results=1)
                self._connected.search_experiments(max_results=1)
        return self._connected

    def _alone(self, what: str = "writing") -> AbstractContextManager[int]:
        """Waits for the other processes of this workspace that do the same."""
        path = Workspace(self._workspace).lock("registry", what)
        return waiting_lock(path, holder=f"the registry of {self._workspace}")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise self._unreachable(f"no driver for it: {error}") from error
        except Exception as error:
            if not type(error).__module__.startswith(("mlflow.", "sqlalchemy.")):
                raise
            said = _driver_error(error)
            if isinstance(said, sqlite3.Error) and self._own is not None:
                raise self._own.error_of(said) from error
            raise self._unreachable(str(said).splitlines()[0]) from error

    def _unreachable(self, received: str) -> BraidError:
        return BraidError(
            f"the registry at {self.address}",
            expected="an MLflow registry that answers",
            received=received,
            action="Look at registry.uri in the declaration, and whether the server runs.",
        )


def _driver_error(error: BaseException) -> BaseException:
    """Returns what the database's driver raised, or the error itself if that was not the cause.

    MLflow's and SQLAlchemy's errors, which wrap it, begin with advice on sessions.
    """
    cause: BaseException | None = error
    while cause is not None:
        original = getattr(cause, "orig", None)
        if isinstance(original, BaseException):
            return original
        cause = cause.__cause__ or cause.__context__
    return error
