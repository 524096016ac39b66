"""The life of a process, tied to that of the process which started it.

The parent holds the other end of the child's standard input. However the parent ends, also by
`kill -9` and also before the child has begun to look, the system closes that end.

`python -m transforms.contract.process.lifeline MODULE ARGUMENTS` is
`python -m MODULE ARGUMENTS`, tied so.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading

_DIED_WITH_PARENT = 70


def die_with_parent() -> None:
    """Ends this process, from a thread of its own, once its standard input closes."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    try:
        while os.read(sys.stdin.fileno(), 1):  # unbuffered: no lock that a normal exit waits for
            pass
    finally:
        os._exit(_DIED_WITH_PARENT)


if __name__ == "__main__":
    die_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
