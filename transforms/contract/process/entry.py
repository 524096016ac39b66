"""The entry point of a step that the flow starts in a process of its own.

The flow starts `python -m transforms analyze JOB.json` and the like. The step's result and its
error go back over the events pipe; what libraries print goes to the step's log.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from transforms.contract.errors import BraidError, storage_error
from transforms.contract.masking import masked
from transforms.contract.process.events import emit
from transforms.contract.process.lifeline import die_with_parent

Step = Callable[[str], dict[str, Any]]


def run_step(steps: Mapping[str, Step], arguments: list[str]) -> int:
    """Runs one step and returns the process's exit code.

    Args:
        steps: Every step of the package by name; each takes the text of its job and returns
            a JSON object for the flow.
        arguments: The step's name and the path of its job.
    """
    die_with_parent()
    sys.stdout, sys.stderr = _log_stream(1), _log_stream(2)
    name, job = arguments
    try:
        result = steps[name](Path(job).read_text(encoding="utf-8"))
    except BraidError as error:
        emit("error", error=error.to_dict())
        return 1
    except OSError as error:
        emit("error", error=storage_error(error, name).to_dict())
        return 1
    except Exception as error:
        # Beam, TensorFlow and HDF5 each have a word of their own for a full disk.
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        emit("error", error=storage_error(full, f"step '{name}'").to_dict())
        return 1
    emit("result", result=result)
    return 0


class _LossyFile(io.FileIO):
    """A log that loses lines on a full disk, and never fails whoever writes them.

    Beam prints an error before it reports it; an error in the printing would lose the report, and
    the runner would wait for it for ever.
    """

    def write(self, data: Any) -> int:
        """Writes what it can, with secrets masked, and says that it wrote all."""
        text = bytes(data).decode(errors="surrogateescape")  # a line, or several
        with contextlib.suppress(OSError):
            super().write(masked(text).encode(errors="surrogateescape"))
        return len(data)


def _log_stream(descriptor: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        cast("Any", _LossyFile(descriptor, "w", closefd=False)),
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )
