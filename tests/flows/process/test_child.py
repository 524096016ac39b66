"""Supervision of child processes, with tiny real scripts in the place of the heavy steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import flows
from flows.process import child
from flows.process.child import StepDied, StepStopped, run_child
from tests.support.command import until
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.process.events import Progress
from transforms.contract.process.own_packages import python_m
from transforms.contract.spec import Spec
from transforms.contract.steps.results import Result
from transforms.contract.steps.step import Step


class Answer(Result):
    """The result of a script."""

    job: str = ""
    ino: int = 0


_ROOT = str(Path(flows.__file__).parent.parent)
_PRELUDE = """
import os, signal, sys, time
from transforms.contract.errors import *
from transforms.contract.process.events import emit, report
from transforms.contract.process.entry import run_step
from transforms.contract.steps.results import Result

class Answer(Result):
    job: str = ""
    ino: int = 0

"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Writes a module `fakestep` that children can import, and returns how to run it."""

    def run(body: str, *, inherit=(), seen=None, stopping=None, module="fakestep"):
        steps = _PRELUDE + "def step(job):\n" + textwrap.indent(textwrap.dedent(body), "    ")
        code = steps + "\nsys.exit(run_step({'go': step}, sys.argv[1:]))\n"
        (tmp_path / "fakestep.py").write_text(code)
        # Whatever it is called: the real trainer is found before a file of its name.
        monkeypatch.setattr(child, "python_m", lambda _, *rest: python_m("fakestep", *rest))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        job = tmp_path / "job.json"
        job.write_text('{"answer": 42}')
        progress = seen if seen is not None else []
        return run_child(
            Step(module, "go", Spec, Answer),
            job,
            log=tmp_path / "go.log",
            on_progress=progress.append,
            inherit=inherit,
            stopping=stopping,
        ).result

    return run


def test_result_and_progress_come_back(script):
    seen = []
    result = script("report(1, 2, unit='rows', loss=0.5)\nreturn Answer(job=job)", seen=seen)
    assert result == Answer(job='{"answer": 42}')
    assert seen == [Progress(done=1, total=2, unit="rows", numbers={"loss": 0.5})]


def test_an_error_of_the_step_is_raised_here_with_its_type_and_parts(script):
    body = "raise DeclarationError('features.x', expected='a', received='b', action='Do c.')"
    with pytest.raises(DeclarationError) as caught:
        script(body)
    error = caught.value
    assert (error.place, error.expected, error.received, error.action) == (
        "features.x",
        "a",
        "b",
        "Do c.",
    )


def test_a_full_disk_in_the_step_says_what_to_do(script):
    with pytest.raises(BraidError, match=r"No space left on device\. Free some space"):
        script("raise OSError(28, 'No space left on device', '/data/x')")


def test_death_by_signal_names_signal_log_and_resumption(script, tmp_path):
    with pytest.raises(StepDied) as caught:
        script("print('last words', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
    assert "killed by signal 9 (SIGKILL); " in caught.value.received
    assert "lack of memory" in caught.value.received
    assert str(tmp_path / "go.log") in caught.value.action
    assert "last words" in caught.value.action
    assert "resumes" in caught.value.action


def test_a_trainer_that_was_killed_says_which_keys_save_memory(script):
    with pytest.raises(StepDied) as caught:
        script("os.kill(os.getpid(), signal.SIGKILL)", module="trainer")
    assert "lower training.batch_size, training.shuffle_bytes" in caught.value.action


def test_a_trainer_that_ended_otherwise_says_nothing_of_memory(script):
    with pytest.raises(StepDied) as caught:
        script("os.kill(os.getpid(), signal.SIGSEGV)", module="trainer")
    assert "memory" not in str(caught.value)


def test_an_unexpected_exception_shows_the_end_of_the_log(script):
    with pytest.raises(StepDied) as caught:
        script("return 1 // 0")
    assert "ended with code 1 and no result" in caught.value.received
    assert "ZeroDivisionError" in caught.value.action


def test_ending_without_a_result_is_an_error(script):
    with pytest.raises(StepDied, match="ended with code 0 and no result"):
        script("os._exit(0)")


def test_a_worker_that_outlives_the_step_does_not_hold_up_the_flow(script, tmp_path):
    ended = tmp_path / "ended"
    body = f"""
    if os.fork() == 0:
        time.sleep(30)
        open({str(ended)!r}, "w").close()
        os._exit(0)
    return Answer()
    """
    assert script(body) == Answer()
    assert not ended.exists()


def test_the_step_inherits_held_locks(script, tmp_path):
    with (tmp_path / "lock").open("w") as file:
        result = script(
            f"return Answer(ino=os.fstat({file.fileno()}).st_ino)", inherit=[file.fileno()]
        )
        assert result.ino == os.fstat(file.fileno()).st_ino


def test_an_interrupt_on_this_side_ends_the_step(script, tmp_path):
    class Interrupt:
        def append(self, _):
            raise KeyboardInterrupt

    body = f"""
    open({str(tmp_path / "pid")!r}, 'w').write(str(os.getpid()))
    report(1, 2, unit='rows')
    time.sleep(60)
    """
    with pytest.raises(KeyboardInterrupt):
        script(body, seen=Interrupt())
    assert _is_gone(int((tmp_path / "pid").read_text()))


def test_a_stop_ends_a_step_that_tells_nothing_and_lets_no_other_begin(script, tmp_path):
    stopping = threading.Event()
    threading.Thread(
        target=lambda: (until((tmp_path / "began").exists), stopping.set()), daemon=True
    ).start()
    body = f"open({str(tmp_path / 'began')!r}, 'w').close()\ntime.sleep(60)"
    with pytest.raises(StepStopped, match="finished work is kept"):
        script(body, stopping=stopping)
    (tmp_path / "began").unlink()
    with pytest.raises(StepStopped):
        script(body, stopping=stopping)
    assert not (tmp_path / "began").exists()


def test_a_killed_flow_ends_its_step(tmp_path):
    (tmp_path / "fakestep.py").write_text(
        _PRELUDE + "def step(job):\n    report(os.getpid(), 1, unit='rows')\n    time.sleep(60)\n"
        "run_step({'go': step}, sys.argv[1:])\n"
    )
    (tmp_path / "job").write_text("{}")
    flow = (
        "from pathlib import Path; from flows.process.child import run_child\n"
        "from transforms.contract.steps.step import TRAIN; from dataclasses import replace\n"
        "run_child(replace(TRAIN, module='fakestep', name='go'), Path('job'), log=Path('log'),"
        " on_progress=lambda p: print(p.done, flush=True))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", flow],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), _ROOT])},
    )
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _is_gone(child)


def _is_gone(pid: int, seconds: float = 10) -> bool:
    """Returns whether a process ends within some seconds; one that nobody waits for is over too."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
