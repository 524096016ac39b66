"""Any one fault at any moment of a run; then the same command again, which has to make it good.

The run is the public command on a table of three days, with Prefect's own server and a registry in
its workspace. Its moments are counted in files of the workspace, so that they do not depend on how
fast a machine is.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import strategies as st

from tests.support.command import BRAID, kill_tree, processes
from tests.support.jobs import transform_job
from transforms.contract.declaration.parsing import load
from transforms.contract.workspace.manifest import ShardManifest

_DAYS = 3
_ROWS_A_DAY = 20
_FILES = 70  # of the workspace of an undisturbed run, about
_RUN_SECONDS = 900
_WRITTEN = 1_750_000_000  # a time of the source files, so that partitions are named alike
_LIMIT_BYTES = 200_000  # of a file of a disk that is full
_LINGERING = 20
_DONE = (0, 3)
_DAMAGED = ("cut a file", "empty a file")
_SIGNALLED = {
    **dict.fromkeys(("kill the flow", "kill all", *_DAMAGED), (-signal.SIGKILL,)),
    "SIGTERM": (143, -signal.SIGTERM),  # the latter before the first line of ours has run
}
_DECLARATION = {
    "name": "flats",
    "source": {"path": "data", "key": "id", "partition_by": "day"},
    "features": {
        "area": {"kind": "numeric"},
        "city": {"kind": "categorical"},
        "words": {"kind": "text", "length": 4, "ngrams": 1, "weights": None},
    },
    "targets": {"sold": {"kind": "binary"}},
    "training": {"epochs": 2},
    "transform": {"max_reject_fraction": 0.5},
}


@dataclass(frozen=True)
class Fault:
    """A fault, and the moment at which it happens.

    Attributes:
        kind: The function below that does it.
        files: How many files the workspace has then.
        delay_s: The seconds after that.
        choice: Which of the processes or files that are there it happens to, as a fraction.
    """

    kind: str
    files: int
    delay_s: float
    choice: float


def faults() -> st.SearchStrategy[Fault]:
    """Draws a fault of any kind, at any moment of a run."""
    return st.builds(
        Fault,
        st.sampled_from(sorted(_FAULTS)),
        st.integers(0, _FILES),
        st.floats(0, 2),
        st.floats(0, 1, exclude_max=True),
    )


@dataclass
class _Run:
    """A command that runs, and where."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"


def check(fault: Fault, folder: Path) -> None:
    """Runs the pipeline, lets the fault happen, and runs it again.

    Raises:
        Exception: A traceback, a hang, a run that cannot be made good, a row that is lost, a shard
            that differs from an undisturbed run's.
    """
    write_project(folder)
    with _small_disk(folder, fault) as limit:
        process = _start(folder, limit=limit)
        try:
            _reach(fault, _Run(folder, process))
            _ended(process, folder, also=_SIGNALLED.get(fault.kind, ()))
        finally:
            kill_tree(process.pid)
    code = _ended(_start(folder), folder)
    for _ in range(_LINGERING):
        if "no other run at the same time" not in _log(folder):
            break
        time.sleep(1)  # a step outlives its killed flow by a moment, and keeps others out
        code = _ended(_start(folder), folder)
    repaired = False
    if fault.kind in _DAMAGED and (code not in _DONE or _differing(folder)):
        # A shard that was cut after the training is looked at by the next one, and by this.
        _ended(_start(folder, "check", "--repair"), folder)
        code = _ended(_start(folder, "run", "--retrain"), folder)
        if code not in _DONE and _names_what_only_a_user_can_bring_back(folder):
            return
        repaired = True
    if code not in _DONE:
        raise ValueError(f"the run was not made good: code {code}\n{_log(folder)}")
    # A day that is transformed anew by itself is cut into more files than beside the others.
    if not repaired and (names := _differing(folder)):
        raise ValueError(f"shards differ: {names}")
    _count_rows(folder)


def write_project(folder: Path) -> None:
    """Writes a table of three days with two rows to reject, and its declaration."""
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(_DECLARATION))
    for day in range(_DAYS):
        _write_day(folder, day, scale=1.0)


def _write_day(folder: Path, day: int, scale: float) -> None:
    path = folder / "data" / f"day={day}" / "a.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = range(day * _ROWS_A_DAY, (day + 1) * _ROWS_A_DAY)
    rows = {
        "id": [f"r{n}" for n in numbers],
        "area": [float("inf") if n in (7, 33) else scale * n for n in numbers],
        "city": ["abc"[n % 3] for n in numbers],
        "words": [f"good flat {n % 4}" for n in numbers],
        "sold": [n % 2 == 0 for n in numbers],
    }
    pq.write_table(pa.table(rows), path)
    os.utime(path, (_WRITTEN, _WRITTEN + scale))


@cache
def _home() -> str:
    """Returns a folder for Prefect, which takes long to make a new one."""
    home = mkdtemp(prefix="braid-fuzz-prefect-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def _start(
    folder: Path, command: str = "run", *options: str, limit: Callable[[], None] | None = None
) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*BRAID, command, str(folder / "pipeline.yaml"), *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PREFECT_HOME": _home(), "BRAID_DEBUG": ""},
            preexec_fn=limit,
        )


def _reach(fault: Fault, run: _Run) -> None:
    """Waits for the fault's moment and lets it happen, unless the run is over before."""
    until = time.monotonic() + _RUN_SECONDS
    while run.process.poll() is None and time.monotonic() < until:
        if sum(1 for path in run.workspace.rglob("*") if path.is_file()) >= fault.files:
            time.sleep(fault.delay_s)
            if run.process.poll() is None:
                _FAULTS[fault.kind](fault, run)
            return
        time.sleep(0.05)


def _ended(process: subprocess.Popen[bytes], folder: Path, *, also: Sequence[int] = ()) -> int:
    """Waits for a command's end and returns its code; it said what was wrong, if something was.

    Args:
        process: The command.
        folder: Where its log is.
        also: Codes of an end that says nothing, by a signal.
    """
    code = process.wait(_RUN_SECONDS)
    text = _log(folder)
    if "Traceback" in text:
        raise ValueError(f"a traceback\n{text}")
    if code not in (*_DONE, *also) and "Error " not in text and "damaged" not in text:
        raise ValueError(f"code {code}, and no sentence\n{text}")
    return code


def _log(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace")


def _kill_flow(_fault: Fault, run: _Run) -> None:
    run.process.kill()


def _kill_all(_fault: Fault, run: _Run) -> None:
    kill_tree(run.process.pid)


def _terminate(_fault: Fault, run: _Run) -> None:
    run.process.terminate()


def _kill_step(fault: Fault, run: _Run) -> None:
    _signal(fault, run, signal.SIGKILL, "transforms", "trainer")


def _kill_server(fault: Fault, run: _Run) -> None:
    _signal(fault, run, signal.SIGKILL, "prefect.server.api.server:create_app")


def _pause(_fault: Fault, run: _Run) -> None:
    """Stops all of a run for a while, as a laptop does that is closed."""
    tree = _tree(run.process.pid)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(15 * (number == signal.SIGSTOP))


def _rewrite(fault: Fault, run: _Run) -> None:
    _write_day(run.folder, int(fault.choice * _DAYS), scale=2.0)


def _cut(fault: Fault, run: _Run, *, to: float = 0.5) -> None:
    """Cuts a file of a workspace in which nothing runs: a power cut, a bad disk."""
    run.process.kill()
    run.process.wait()
    kept = [p for p in sorted(run.workspace.rglob("*")) if p.is_file() and "locks" not in p.parts]
    if kept:
        path = kept[int(fault.choice * len(kept))]
        os.truncate(path, int(path.stat().st_size * to))


def _nothing(_fault: Fault, _run: _Run) -> None:
    """The disk is full by itself."""


_FAULTS: dict[str, Callable[[Fault, _Run], None]] = {
    "kill the flow": _kill_flow,
    "kill all": _kill_all,
    "SIGTERM": _terminate,
    "kill a step": _kill_step,
    "kill Prefect's server": _kill_server,
    "pause": _pause,
    "rewrite a source file": _rewrite,
    "cut a file": _cut,
    "empty a file": partial(_cut, to=0.0),
    "full disk": _nothing,
    "small files only": _nothing,
}


def _tree(pid: int) -> list[int]:
    """Returns a process and its descendants."""
    parents: dict[int, int] = {}
    for child in processes():
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2]
            parents[child] = int(stat.split()[1])
    tree = [pid]
    for parent in tree:
        tree += [child for child, of in parents.items() if of == parent]
    return tree


def _signal(fault: Fault, run: _Run, number: int, *words: str) -> None:
    """Sends a signal to one of a run's processes that have one of these words in their command."""
    named = []
    for pid in _tree(run.process.pid)[1:]:
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if set(words) & set(command):
                named.append(pid)
    if named:
        with contextlib.suppress(ProcessLookupError):
            os.kill(named[int(fault.choice * len(named))], number)


@contextlib.contextmanager
def _small_disk(folder: Path, fault: Fault) -> Iterator[Callable[[], None] | None]:
    """Gives the workspace a disk that gets full, as long as the block runs.

    Where this user may mount one, it is a disk; else files may not grow beyond a size.
    """
    size = 20_000 + int(fault.choice * 6_000_000)
    if fault.kind not in ("full disk", "small files only"):
        yield None
        return
    workspace = folder / "workspace"
    workspace.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "braid-fuzz", str(workspace)]
    is_disk = (
        fault.kind == "full disk"
        and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    )
    if not is_disk:
        # 4 MiB and more for what Prefect keeps in its own folder.
        limit = 6_000_000 if fault.kind == "full disk" else _LIMIT_BYTES
        yield partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
        return
    try:
        yield None
        kept = folder / "kept"
        shutil.copytree(workspace, kept)  # more space, and what is there stays
    finally:
        subprocess.run(["umount", "--lazy", str(workspace)], check=False)
    workspace.rmdir()
    kept.rename(workspace)


def _names_what_only_a_user_can_bring_back(folder: Path) -> bool:
    return any(name in _log(folder) for name in ("registry", "run.json", "export"))


def _is_rewritten(folder: Path) -> tuple[int, ...]:
    return tuple(
        day
        for day in range(_DAYS)
        if (folder / "data" / f"day={day}" / "a.parquet").stat().st_mtime > _WRITTEN + 1.5
    )


@cache
def _undisturbed(rewritten: tuple[int, ...]) -> dict[str, bytes]:
    """Returns what lies in the shards' folders after both steps of the transforms, in process."""
    from transforms.analysis.freeze import analyze
    from transforms.shards.transform import transform

    folder = Path(mkdtemp(prefix="braid-fuzz-"))
    try:
        write_project(folder)
        for day in rewritten:
            _write_day(folder, day, scale=2.0)
        job = transform_job(load(folder / "pipeline.yaml"), folder / "workspace")
        analyze(job.model_dump_json())
        transform(job.model_dump_json())
        return _shards(folder / "workspace")
    finally:
        shutil.rmtree(folder)


def _shards(workspace: Path) -> dict[str, bytes]:
    """Returns what lies in the shards' folders; a manifest names source files by their folder."""
    folder, project = workspace / "shards", str(workspace.parent).encode()
    return {
        str(path.relative_to(folder)): path.read_bytes().replace(project, b"")
        for path in folder.rglob("*")
        if path.is_file()
    }


def _differing(folder: Path) -> list[str]:
    """Returns the files of shards that an undisturbed run would have otherwise."""
    shards, expected = _shards(folder / "workspace"), _undisturbed(_is_rewritten(folder))
    return sorted(n for n in {*shards, *expected} if shards.get(n) != expected.get(n))


def _count_rows(folder: Path) -> None:
    """Holds the rows that a finished run's shards and rejects have against those of the table."""
    shards = _shards(folder / "workspace")
    rows = rejected = records = 0
    for name, text in shards.items():
        if name.endswith("manifest.json"):
            manifest = ShardManifest.model_validate_json(text)
            rows += manifest.rows
            records += sum(s.rows for s in manifest.shards if s.content == "stored")
            kept = folder / "workspace" / "rejects" / Path(name).parent
            rejected += sum(pq.read_metadata(path).num_rows for path in kept.glob("*.parquet"))
    if (rows, records + rejected) != (_DAYS * _ROWS_A_DAY,) * 2:
        raise ValueError(f"{rows} rows: {records} records and {rejected} rejects")
