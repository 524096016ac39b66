from __future__ import annotations

import threading

from flows.locks import waiting_lock
from transforms.contract.workspace import exclusive_lock


def test_a_held_lock_is_waited_for_and_named_once(tmp_path):
    path, seen, release = tmp_path / "a.lock", [], threading.Event()

    def waiting(held) -> None:
        seen.append(held.received)
        release.set()

    entered = threading.Event()

    def hold() -> None:
        with exclusive_lock(path, holder="first"):
            entered.set()
            release.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    with waiting_lock(path, holder="second", on_wait=waiting) as descriptor:
        assert descriptor > 0
    holder.join()
    assert len(seen) == 1
    assert seen[0].startswith("one in process ")


def test_a_free_lock_is_taken_at_once(tmp_path):
    seen = []
    with waiting_lock(tmp_path / "a.lock", holder="x", on_wait=seen.append):
        assert seen == []
