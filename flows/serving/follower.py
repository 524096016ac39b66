"""Following an alias: another version is loaded and answers before it takes the place of the old.

Requests that are under way keep the version that they were given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from flows.console.harmless import say
from flows.serving.counters import Counters
from flows.serving.served import Served, load_served
from flows.steps.registration import find_version, open_registry
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace


@dataclass(frozen=True)
class ChosenVersion:
    """The version that is to be served.

    Attributes:
        alias: That which has this alias, and whichever has it later.
        version: That of this number instead, for ever.
        poll_seconds: How often the alias is looked at.
    """

    alias: str
    version: str | None
    poll_seconds: float


class Follower:
    """The version that is served, and the thread that looks for another.

    Args:
        pipeline: The declaration, which says which registry and model are meant.
        workspace: The folder of the registry.
        chosen: Which version.
        most_rows: Of a request.
        counters: Are told of every change.

    Raises:
        BraidError: There is no such version, or it does not answer.
    """

    def __init__(
        self,
        pipeline: PipelineSpec,
        workspace: Workspace,
        chosen: ChosenVersion,
        *,
        most_rows: int,
        counters: Counters,
    ) -> None:
        self._registry = open_registry(pipeline, workspace)
        self._name = pipeline.registered_name()
        self._alias = chosen.alias
        self._poll_seconds = chosen.poll_seconds
        self._most_rows = most_rows
        self._counters = counters
        self._failed: str | None = None  # is not tried again
        self._told: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow) if chosen.version is None else None
        self.served = self._load(chosen.version)

    def start(self) -> None:
        """Begins to follow the alias."""
        if self._thread is not None:
            self._thread.start()

    def close(self) -> None:
        """Ends the thread; one that loads a model ends when that is loaded."""
        self._ended.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()

    def _load(self, version: str | None) -> Served:
        registered = find_version(self._registry, self._name, alias=self._alias, version=version)
        folder = self._registry.export_folder(registered)
        served = load_served(registered.name, registered.version, folder, self._most_rows)
        self._counters.serve(served.name, served.version)
        return served

    def _follow(self) -> None:
        while not self._ended.wait(self._poll_seconds):
            self._tried(self._look)

    def _look(self) -> None:
        version = self._registry.version_with(self._name, self._alias)
        if version in (None, self.served.version, self._failed):
            return
        try:
            served = self._load(version)
        except BaseException:
            self._failed = version
            self._counters.reloads.labels("failed").inc()
            raise
        self._counters.reloads.labels("loaded").inc()
        self.served = served
        say(f"{served.name} version {served.version} is served now.")

    def _tried(self, work: Callable[[], None]) -> None:
        """Does something; if it fails, the old version stays, and that is said once."""
        try:
            work()
            self._told = None
        except Exception as error:
            reason = str(error) if isinstance(error, BraidError) else repr(error)
            if reason != self._told:
                say(f"Still version {self.served.version}: {reason}", err=True)
            self._told = reason
