"""Locks of the kernel: who holds one is known, and a dead process holds none."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from polytune.engine.locks import holder, try_lock
from tests.engine.engine_bench import eventually
from tests.messages import message

holding = """
import sys, time
from pathlib import Path
from polytune.engine.locks import try_lock
with try_lock(Path(sys.argv[1]), "x/1 train") as lock:
    print("held" if lock else "refused", flush=True)
    time.sleep(60)
"""
handing_on = """
import subprocess, sys, time
from pathlib import Path
from polytune.engine.locks import try_lock
with try_lock(Path(sys.argv[1]), "x/1 train", inheritable=True) as lock:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[lock])
    print(child.pid, flush=True)
    time.sleep(60)
"""


def started(code: str, path: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that runs the code, and its first line."""
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def killed(process: subprocess.Popen[str]) -> None:
    """The process was killed and is gone; what it started may live on."""
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_lock_is_free_held_and_free_again(tmp_path: Path) -> None:
    """Inside the block nobody else gets it, after it anybody does."""
    path = tmp_path / "locks" / "a"

    assert holder(path) is None
    with try_lock(path, "x/1 train") as lock:
        assert lock is not None
        with try_lock(path, "x/2 train") as other:
            assert other is None
        assert holder(path) is not None
    assert holder(path) is None
    with try_lock(path, "x/2 train") as lock:
        assert lock is not None


def test_the_holder_says_who_since_when_and_for_what(tmp_path: Path) -> None:
    """The text names the process, its machine, the time and the step."""
    path = tmp_path / "a"
    process, said = started(holding, path)

    found = holder(path)

    assert said == "held"
    assert found is not None
    assert str(found).startswith(f"process {process.pid} on {os.uname().nodename}, since 20")
    assert str(found).endswith("Z, for x/1 train")
    killed(process)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """After kill -9 the lock is free at once; nobody has to unlock anything."""
    path = tmp_path / "a"
    process, _ = started(holding, path)

    killed(process)

    assert holder(path) is None
    with try_lock(path, "x/2 train") as lock:
        assert lock is not None


def test_a_child_keeps_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    """A child that was given the descriptor holds the lock until it ends itself."""
    path = tmp_path / "a"
    process, child = started(handing_on, path)
    killed(process)

    with try_lock(path, "x/2 train") as lock:
        assert lock is None
    os.kill(int(child), signal.SIGKILL)
    eventually(lambda: holder(path) is None, "the lock to be free")


def test_other_children_do_not_inherit_a_lock(tmp_path: Path) -> None:
    """A process started while a lock is held, but not given it, does not keep it."""
    path = tmp_path / "a"
    with try_lock(path, "x/1 train"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    assert holder(path) is None
    child.communicate(b"\n")


def test_looking_at_a_lock_does_not_take_it_away(tmp_path: Path) -> None:
    """Whoever takes a lock at the moment somebody looks at it gets it all the same."""
    path = tmp_path / "a"
    path.touch()
    looking = os.open(path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    later = threading.Timer(0.1, os.close, [looking])
    later.start()

    with try_lock(path, "x/1 train") as lock:
        taken = lock is not None
    later.join()

    assert taken


@pytest.mark.parametrize("text", ["", "{", "not json"])
def test_an_unsigned_lock_still_has_a_holder(tmp_path: Path, text: str) -> None:
    """Between taking and signing, the holder is somebody who has not signed yet."""
    path = tmp_path / "a"
    with try_lock(path, "x/1 train"):
        path.write_text(text)

        found = holder(path)

    assert found is not None
    assert found.what == message("engine/run-that-has-not-signed-yet")


def test_a_signature_replaces_a_longer_one(tmp_path: Path) -> None:
    """The text of an earlier holder leaves nothing behind."""
    path = tmp_path / "a"
    with try_lock(path, "x/1 a-step-with-a-long-name" * 10):
        pass
    with try_lock(path, "x/2 b"):
        found = holder(path)

    assert found is not None
    assert found.what == "x/2 b"
