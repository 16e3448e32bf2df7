"""Stuck: a process whose event loop stands still ends itself, so that another one takes over."""

import subprocess
import sys

STUCK = """
import asyncio, time
from gateway.jobs.rq_worker import loop_in_thread
from gateway.stuck import ended_when_stuck
with loop_in_thread(asyncio.new_event_loop) as loop:
    with ended_when_stuck(loop, 0.5):
        time.sleep(1.5)
        print("answers", flush=True)
        {then}
    time.sleep(1.0)
    print("ended in order", flush=True)
"""


def run(then: str) -> subprocess.CompletedProcess[str]:
    """Run a process that is watched, and does *then* after a while."""
    return subprocess.run(
        [sys.executable, "-c", STUCK.format(then=then)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_process_that_is_stuck_ends_itself() -> None:
    """A call that blocks the loop cannot be cancelled: the process ends, saying where every thread stood."""
    ended = run("loop.call_soon_threadsafe(time.sleep, 60); time.sleep(60)")

    assert ended.returncode == 1
    assert ended.stdout == "answers\n"
    assert "Timeout" in ended.stderr
    assert "run_forever" in ended.stderr


def test_a_process_that_answers_is_left_alone() -> None:
    """While the loop turns, and after the watch has ended, nothing happens."""
    ended = run("pass")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "answers\nended in order\n"
