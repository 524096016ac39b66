"""Leases in a bucket, on moto's S3: one holder at a time, and what becomes of those that die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.s3 import S3, needs_moto, s3_server
from transforms.contract.errors import BraidError
from transforms.contract.leases import lease as module
from transforms.contract.leases.lease import (
    Lease,
    LeaseHeld,
    LeaseLost,
    exclusive_lease,
    lease_place,
    waiting_lease,
)
from transforms.contract.leases.versioned import read_versioned, write_versioned
from transforms.contract.workspace.bucket import Bucket, BucketPath

pytestmark = needs_moto
TERM = 1.0  # seconds


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def place(s3, tmp_path, monkeypatch) -> BucketPath:
    """The object of a lease whose term is a second."""
    monkeypatch.setattr(module, "TERM_SECONDS", TERM)
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.05)
    store = BucketPath(Bucket(s3.url(tmp_path.name), tmp_path, 10**9))
    return lease_place(store, "transform", "abc")


def lease(place: BucketPath, workspace: str, **options) -> Lease:
    return Lease(place, workspace, what="transform abc", **options)


def test_who_holds_a_lease_keeps_another_workspace_out_until_it_is_given_back(place):
    with exclusive_lease(lease(place, "a")) as first:
        with pytest.raises(LeaseHeld, match=r"transform abc: .*process \d+ on .*another workspace"):
            lease(place, "b").take()
        time.sleep(1.5 * TERM)  # it is renewed
        first.check()
        with pytest.raises(LeaseHeld):
            lease(place, "b").take()
    with exclusive_lease(lease(place, "b")) as second:
        second.check()


def test_two_of_ten_threads_never_hold_it_at_once(place):
    inside, most, done = 0, 0, []

    def work(number: int) -> None:
        nonlocal inside, most
        for _ in range(3):
            with waiting_lease(lease(place, f"w{number}"), lambda _: None) as held:
                inside += 1
                most = max(most, inside)
                held.check()
                inside -= 1
            done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, len(done)) == (1, 30)


def test_a_killed_holder_is_waited_for_a_term_and_one_of_the_same_workspace_not(place, s3):
    script = f"""
from pathlib import Path
from transforms.contract.leases import lease as module
from transforms.contract.workspace.bucket import Bucket, BucketPath
module.TERM_SECONDS = {TERM}
store = BucketPath(Bucket({place.bucket.uri!r}, Path({str(place.bucket.cache)!r}), 1))
module.Lease(module.lease_place(store, "transform", "abc"), "a", what="abc").take()
print("taken", flush=True)
input()
"""
    for workspace, waits in (("b", True), ("a", False)):
        holder = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout.readline() == "taken\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        started, told = time.monotonic(), []
        with waiting_lease(lease(place, workspace), told.append):
            assert not waits or time.monotonic() - started > TERM
        assert [str(holder.pid) in each.received for each in told] == [True] * waits


def test_a_lease_that_was_not_renewed_is_lost_before_the_next_commit(place, monkeypatch):
    lost = threading.Event()
    sleeping = lease(place, "a", on_lost=lost.set)
    sleeping.take()
    sleeping._lock.acquire()  # as a machine that sleeps renews nothing
    with waiting_lease(lease(place, "b"), lambda _: None) as other:
        with pytest.raises(LeaseLost, match=r"abc\.json: .*was not renewed .*same command again"):
            sleeping.check()
        sleeping._lock.release()
        assert lost.wait(5)
        sleeping.give_back()
        other.check()
    with pytest.raises(LeaseLost):
        other.check()


def test_a_busy_bucket_loses_no_lease(place, s3, monkeypatch):
    monkeypatch.setattr(module, "TERM_SECONDS", 3 * TERM)
    lost, other, until = threading.Event(), lease(place, "b"), time.monotonic() + 5 * TERM
    with exclusive_lease(lease(place, "a", on_lost=lost.set)) as held:
        s3.busy_every = 2
        try:
            while time.monotonic() < until:
                with pytest.raises(LeaseHeld):
                    other.take()
        finally:
            s3.busy_every = 0
        held.check()
    assert not lost.is_set()


def test_a_write_whose_answer_is_lost_counts(place, monkeypatch):
    def lose(*arguments, **options):
        write_versioned(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_versioned", lose)
        held = lease(place, "a")
        held.take()
    with monkeypatch.context() as patch:
        answers = iter([lose])
        patch.setattr(
            module, "write_versioned", lambda *a, **o: next(answers, write_versioned)(*a, **o)
        )
        assert held._renew()
    held.check()
    held.give_back()
    assert json.loads(read_versioned(place).content)["token"] is None


def test_what_a_workspace_that_is_gone_has_left_is_taken_at_once(place):
    gone = lease(place, "a")
    gone.take()
    gone._ended.set()
    with exclusive_lease(lease(place, "b", is_gone=lambda workspace: workspace == "a")) as held:
        held.check()


def test_an_object_that_is_no_lease_is_one_sentence(place):
    write_versioned(place, b"torn", over=None)
    with pytest.raises(BraidError, match=r"abc\.json: .*Remove it once nobody works"):
        lease(place, "a").take()
