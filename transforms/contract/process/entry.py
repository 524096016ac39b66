"""The entry point of a step that the flow starts in a process of its own.

The flow starts `python -m transforms analyze JOB.json` and the like. The step's result and its
error go back over the events pipe; what libraries print goes to the step's log.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, storage_error
from transforms.contract.masking import masked
from transforms.contract.process.events import Failed, Returned, emit
from transforms.contract.process.lifeline import die_with_parent

_STATUS = Path("/proc/self/status")  # of this process, on Linux


def run_step(steps: Mapping[str, Callable[[str], BaseModel]], arguments: list[str]) -> int:
    """Runs one step and returns the process's exit code.

    Args:
        steps: Every step of the package by name; each takes the text of its job and returns
            its result.
        arguments: The step's name and the path of its job.
    """
    die_with_parent()
    sys.stdout, sys.stderr = _log_stream(1), _log_stream(2)
    name, job = arguments
    try:
        result = steps[name](Path(job).read_text(encoding="utf-8"))
    except BraidError as error:
        emit(Failed(error=ErrorReport.of(error)))
        return 1
    except OSError as error:
        emit(Failed(error=ErrorReport.of(storage_error(error, name))))
        return 1
    except Exception as error:
        # Beam, TensorFlow and HDF5 each have a word of their own for a full disk.
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        emit(Failed(error=ErrorReport.of(storage_error(full, f"step '{name}'"))))
        return 1
    emit(Returned(result=result.model_dump_json(), peak_bytes=_peak_bytes()))
    return 0


def _peak_bytes() -> int:
    """Returns the resident memory that the largest process of the step has had, in bytes."""
    return max(_own_peak(), _counted_peak(resource.RUSAGE_CHILDREN))


def _own_peak() -> int:
    """Returns the most that this process has had, in bytes, without what its parent had."""
    try:  # getrusage tells the parent's peak where that was the larger one when it forked
        lines = _STATUS.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:  # another system than Linux
        lines = []
    # A sandbox may have the file and not this line.
    peak = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return _counted_peak(resource.RUSAGE_SELF) if peak is None else int(peak) * 1024


def _counted_peak(who: int) -> int:
    """Returns what the system counted, which is in bytes on macOS alone, in bytes."""
    peak = resource.getrusage(who).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


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
