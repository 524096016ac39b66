"""A worker of a Beam runner as a process, forked by a pool of workers where there is one.

A runner whose `environment_type` is PROCESS starts a command with `--id` and
`--provision_endpoint`. What takes seconds to import is imported only without a pool.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

POOL = "BRAID_WORKER_POOL"  # the socket of the pool; without one a worker is on its own
FORKED, ENDED = b"f", b"e"  # the pool's answers: there is a worker, it has ended well
_FORK_SECONDS = 60.0  # it may still be importing


def main(arguments: Sequence[str] | None = None) -> None:
    """Works for a runner until it ends the worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    given, _ = parser.parse_known_args(arguments)
    # Prism quotes values as if a shell read them.
    worker, endpoint = (text.strip("'") for text in (given.id, given.provision_endpoint))
    pool = os.environ.get(POOL)
    if pool and worked_by(pool, worker, endpoint):
        return
    from transforms.runners.harness import work

    work(worker, endpoint)


def worked_by(pool: str, worker: str, endpoint: str) -> bool:
    """Has a worker of a pool do the work, which ends if this process does.

    Args:
        pool: The pool's socket.
        worker: The worker's id.
        endpoint: The address of the provision service.

    Returns:
        Whether there was one: the pool may have ended, or run what is installed no more.

    Raises:
        SystemExit: The worker died.
    """
    order = json.dumps([worker, endpoint]).encode() + b"\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_FORK_SECONDS)
        try:
            connection.connect(pool)
            connection.sendall(order)
            if connection.recv(1) != FORKED:
                return False
        except OSError:
            return False
        connection.settimeout(None)
        try:
            ended = connection.recv(1)
        except OSError:
            ended = b""
    if ended != ENDED:
        sys.exit("The pool's worker died.")
    return True


if __name__ == "__main__":
    main()
