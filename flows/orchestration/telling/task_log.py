"""The log of a task in Prefect's UI: what a run's reporter is told while the task is under way.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

import logging

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging.handlers import APILogHandler

from flows.console.harmless import plain

# Prefect's own loggers would tell a terminal, or a worker's, what the reporter has shown there.
_LOGGER = logging.getLogger("braid")
_LOGGER.setLevel(logging.INFO)
_LOGGER.propagate = False
_LOGGER.addHandler(APILogHandler())


class TaskLog:
    """Keeps lines in the log of the task that is under way, or else of its flow."""

    def write(self, line: str, *, failed: bool = False) -> None:
        """Keeps a line, if the flow reports to a server of the user's.

        Args:
            line: What is told.
            failed: Whether it tells of a failure.
        """
        if TaskRunContext.get() or FlowRunContext.get():
            level = logging.ERROR if failed else logging.INFO
            _LOGGER.log(level, "%s", plain(line, lines=True))
