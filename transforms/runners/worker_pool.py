"""A pool of workers: a process that has imported what they need, and forks one for whoever asks.

A runner starts workers for every job, and importing TensorFlow and Beam is most of a worker's
start. One pool stands beside each process that starts workers, and ends with it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from transforms.contract.process.own_packages import full_name
from transforms.contract.process.startup import quick_start
from transforms.runners.worker import ENDED, FORKED, POOL

# What works, and what the units of both steps are unpickled with.
_MODULES = (
    "transforms.runners.harness",
    "transforms.analysis.partition_statistics",
    "transforms.shards.transform",
)
_LOOK_SECONDS = 2.0  # between two looks whether the owner lives


def _work(worker: str, endpoint: str) -> None:
    from transforms.runners.harness import work  # once the socket is there: it takes seconds

    work(worker, endpoint)


def serve(
    path: Path,
    owner: int,
    modules: Iterable[str] = _MODULES,
    work: Callable[[str, str], None] = _work,
) -> None:
    """Forks workers until the pool's owner has ended.

    Who asks while modules are imported waits. Files that have changed since they were imported end
    the pool's work: it starts anew, and who asked works on its own.

    Args:
        path: The socket.
        owner: The process that started this one.
        modules: What is imported first.
        work: A worker's work, by its id and the address of its provision service.
    """
    hidden = path.with_name(f".{path.name}")
    hidden.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(hidden))
        listener.listen()
        hidden.rename(path)  # whoever sees it can connect
        listener.settimeout(_LOOK_SECONDS)
        with quick_start():
            for module in modules:
                import_module(full_name(module))
        imported = _files()
        while os.getppid() == owner:
            _reap()
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                if _files(imported) != imported:
                    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
                if os.fork() == 0:
                    listener.close()
                    _answer(connection, work)
    path.unlink()


def _files(paths: Iterable[str] | None = None) -> dict[str, int]:
    """Returns when files were changed, in nanoseconds; by default those of imported modules."""
    if paths is None:
        given = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        paths = [path for path in given if path is not None]
    times = {}
    for path in paths:
        with suppress(OSError):
            times[path] = Path(path).stat().st_mtime_ns
    return times


def _reap() -> None:
    """Lets the system forget the workers that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _answer(connection: socket.socket, work: Callable[[str, str], None]) -> None:
    """Works for who asks, in a process of its own; it does not return to what the pool does."""
    try:
        connection.settimeout(None)
        with connection.makefile("rb") as orders:
            worker, endpoint = json.loads(orders.readline())
        connection.sendall(FORKED)
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        work(worker, endpoint)
        connection.sendall(ENDED)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # not by what the pool has to do at its end


def _end_with(connection: socket.socket) -> None:
    """Ends this process when the one that asked for it has ended."""
    with suppress(OSError):
        connection.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves at the socket that the environment names, and removes its folder at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("owner", type=int, help="the process with which it ends")
    path = Path(os.environ[POOL])
    serve(path, parser.parse_args(arguments).owner)
    with suppress(OSError):  # something else lies there too
        path.parent.rmdir()


if __name__ == "__main__":
    main()
