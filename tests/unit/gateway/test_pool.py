"""The pool: who dies is replaced, who cannot be kept up is said so, and nobody is left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from patience import PATIENCE_S

T = TypeVar("T")

#: Workers: one that goes on until told, one that does not heed it, one that does not get up. Those that do say so to
#: their pool, if at all, and then to the test.
SOUND = """
import os, signal, sys, time
from gateway.leash import say_ready
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
say_ready()
open(f"{__file__}.{os.getpid()}.up", "x").close()
time.sleep(600)
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(f"{__file__}.{os.getpid()}.up", "x").close()
time.sleep(600)
"""
CRASHING = "raise SystemExit(3)"
#: One that takes its time over what is in hand, unless it is told a second time.
BUSY = """
import os, signal, sys, time
from gateway.leash import say_ready
signal.signal(signal.SIGTERM, lambda *_: print("finishes", flush=True))
signal.signal(signal.SIGINT, lambda *_: (print("hurries", flush=True), sys.exit(0)))
say_ready()
open(f"{__file__}.{os.getpid()}.up", "x").close()
while True:
    time.sleep(600)
"""
REFUSING = """
import sys
from gateway.leash import say_refused
print("no channel is called sre", flush=True)
say_refused()
sys.exit(7)
"""


@contextmanager
def a_pool(home: Path, worker: str, processes: int = 2, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a pool of *worker*, a program, in a process of its own; its log is in ``pool.log``."""
    (home / "a_worker.py").write_text(worker)
    said = ", ".join(f"{name}={value!r}" for name, value in options.items())
    program = (
        f"import sys; from gateway.pool import Pool; sys.exit(Pool(lambda _: ['a_worker'], {processes}, {said}).run())"
    )
    with (home / "pool.log").open("wb") as log:
        pool = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{Path(__file__).parents[3]}"},
            stdout=log,
            stderr=log,
        )
    try:
        yield pool
    finally:
        for each in [*psutil.Process(pool.pid).children(), pool] if pool.poll() is None else []:
            each.kill()
        pool.wait()


def said(home: Path) -> str:
    """Return what the pool logged."""
    return re.sub(r"\x1b\[[0-9;]*m", "", (home / "pool.log").read_text())


def until(ask: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """Ask until the answer is one: other processes send no event."""
    end = time.monotonic() + patience_s
    while not (answer := ask()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer


def workers(home: Path, pool: subprocess.Popen[bytes], count: int) -> list[psutil.Process]:
    """Wait until the pool in *home* has *count* workers that got up and live; return them."""

    def found() -> list[psutil.Process] | None:
        children = psutil.Process(pool.pid).children()
        return children if len(children) == count and all(_is_up(home, child) for child in children) else None

    return until(found)


def _is_up(home: Path, child: psutil.Process) -> bool:
    try:
        return (home / f"a_worker.py.{child.pid}.up").exists() and child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # gone since it was listed
        return False


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    """kill -9 of one worker: another takes its place, and the rest go on."""
    with a_pool(tmp_path, SOUND) as pool:
        killed, other = workers(tmp_path, pool, 2)
        killed.kill()
        killed.wait()
        after = until(lambda: {each.pid for each in workers(tmp_path, pool, 2)} - {killed.pid, other.pid})

    assert len(after) == 1
    assert "code=-9" in said(tmp_path)


def test_a_worker_that_gets_up_is_kept_up_however_often_it_dies(tmp_path: Path) -> None:
    """The pool gives up on those that do not start, not on those that somebody, or something, kills again and again."""
    with a_pool(tmp_path, SOUND, processes=1, first_wait_s=0.01) as pool:
        for _ in range(7):
            [worker] = workers(tmp_path, pool, 1)
            worker.kill()
            worker.wait()
        [worker] = workers(tmp_path, pool, 1)
        pool.send_signal(signal.SIGTERM)
        code = pool.wait(timeout=PATIENCE_S)

    assert code == 0
    assert "pool.gave_up" not in said(tmp_path)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_pool_told_to_stop_stops_its_workers_first(tmp_path: Path, told: signal.Signals) -> None:
    """Every worker is told and awaited; the pool exits with 0 and leaves nobody behind."""
    with a_pool(tmp_path, SOUND) as pool:
        kept = workers(tmp_path, pool, 2)
        pool.send_signal(told)
        code = pool.wait(timeout=PATIENCE_S)

    assert code == 0
    assert not [each for each in kept if each.is_running()]
    assert "worker.killed" not in said(tmp_path)


def test_a_second_word_makes_them_hurry(tmp_path: Path) -> None:
    """The first lets them finish what is in hand; a second Ctrl-C, or SIGTERM, does not wait for it."""
    with a_pool(tmp_path, BUSY, processes=1) as pool:
        workers(tmp_path, pool, 1)
        pool.send_signal(signal.SIGINT)
        until(lambda: "finishes" in said(tmp_path))
        pool.send_signal(signal.SIGINT)
        code = pool.wait(timeout=PATIENCE_S)

    assert code == 0
    assert said(tmp_path).index("finishes") < said(tmp_path).index("hurries")
    assert "worker.killed" not in said(tmp_path)


def test_a_worker_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """Who does not end within the stated time is killed: a stop takes no longer than that."""
    with a_pool(tmp_path, STUBBORN, stop_patience_s=0.5, ahead_s=0.1) as pool:
        kept = workers(tmp_path, pool, 2)
        pool.send_signal(signal.SIGTERM)
        code = pool.wait(timeout=PATIENCE_S)

    assert code == 0
    assert said(tmp_path).count("worker.killed") == 2
    assert not [each for each in kept if each.is_running()]


def test_a_pool_that_keeps_nobody_up_says_so(tmp_path: Path) -> None:
    """Workers that die as soon as they start are started again with longer and longer waits; then the pool exits 1."""
    with a_pool(tmp_path, CRASHING, first_wait_s=0.01) as pool:
        code = pool.wait(timeout=PATIENCE_S)
    waits = [float(wait) for wait in re.findall(r"place=0 wait_s=([\d.]+)", said(tmp_path))]

    assert code == 1
    assert "pool.gave_up" in said(tmp_path)
    assert waits == [0.01, 0.02, 0.04, 0.08, 0.16]


def test_what_is_wrong_with_the_configuration_is_said_once(tmp_path: Path) -> None:
    """The first goes ahead; where it refuses, nobody else is started, nor it again, and its exit code is the pool's."""
    with a_pool(tmp_path, REFUSING, processes=4) as pool:
        code = pool.wait(timeout=PATIENCE_S)

    assert code == 7
    assert said(tmp_path).count("no channel is called sre") == 1


def test_a_refusal_while_others_go_on_is_no_end(tmp_path: Path) -> None:
    """Who no longer starts, since the configuration was changed meanwhile, is tried again beside those that run."""
    with a_pool(tmp_path, SOUND, first_wait_s=0.01) as pool:
        killed, other = workers(tmp_path, pool, 2)
        (tmp_path / "a_worker.py").write_text(REFUSING)
        killed.kill()
        until(lambda: said(tmp_path).count("no channel is called sre") >= 2)
        pool.send_signal(signal.SIGTERM)
        code = pool.wait(timeout=PATIENCE_S)

    assert code == 0
    assert not other.is_running()


def test_the_log_names_what_is_kept(tmp_path: Path) -> None:
    """Gateways are called so."""
    with a_pool(tmp_path, SOUND, processes=1, kind="gateway") as pool:
        workers(tmp_path, pool, 1)
        pool.send_signal(signal.SIGTERM)
        pool.wait(timeout=PATIENCE_S)

    assert "gateway.begun" in said(tmp_path)
    assert "worker" not in said(tmp_path).replace("a_worker", "")


def test_workers_do_not_outlive_a_pool_that_is_killed(tmp_path: Path) -> None:
    """kill -9 of the pool ends its workers too: the next pool does not come on top of them."""
    with a_pool(tmp_path, SOUND) as pool:
        kept = workers(tmp_path, pool, 2)
        pool.kill()
        pool.wait()
        gone, alive = psutil.wait_procs(kept, timeout=PATIENCE_S)

    assert (len(gone), alive) == (2, [])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is seen on Linux only")
def test_a_worker_that_grew_too_large_is_replaced_in_order(tmp_path: Path) -> None:
    """It is told to stop, one at a time, and its end counts as no failure."""
    with a_pool(tmp_path, SOUND, memory_max=1, weigh_every_s=0.1, first_wait_s=60) as pool:
        until(lambda: said(tmp_path).count("worker.begun") >= 4)
        pool.send_signal(signal.SIGTERM)
        code = pool.wait(timeout=PATIENCE_S)
    ends = re.findall(r"worker\.ended +asked=(\w+) code=(-?\d+)", said(tmp_path))

    assert code == 0
    assert set(ends) == {("True", "0")}
