"""Stuck: a process whose event loop stands still ends itself, so that another one takes over."""

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from patience import PATIENCE_S

#: Longer than machines stand still by themselves.
STUCK_S = 2.5

PROGRAM = """
import asyncio, time
from gateway.jobs.rq_worker import loop_in_thread
from gateway.stuck import ended_when_stuck
with loop_in_thread(asyncio.new_event_loop) as loop:
    with ended_when_stuck(loop, {stuck_s}):
        time.sleep({stuck_s} * 1.2)
        print("answers", flush=True)
        {then}
    time.sleep({stuck_s} * 1.2)
    print("ended in order", flush=True)
"""

#: What processes do after a while.
THEN = {
    "is stuck": "loop.call_soon_threadsafe(time.sleep, 60); time.sleep(60)",
    "answers": "pass",
}


@pytest.fixture(scope="module")
def ended() -> Mapping[str, subprocess.CompletedProcess[str]]:
    """How processes that are watched ended; they run side by side, as it takes a while."""

    def run(then: str) -> subprocess.CompletedProcess[str]:
        program = PROGRAM.format(then=then, stuck_s=STUCK_S)
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False
        )

    with ThreadPoolExecutor(len(THEN)) as pool:
        return dict(zip(THEN, pool.map(run, THEN.values()), strict=True))


def test_a_process_that_is_stuck_ends_itself(ended: Mapping[str, subprocess.CompletedProcess[str]]) -> None:
    """A call that blocks the loop cannot be cancelled: the process ends, saying where every thread stood."""
    stuck = ended["is stuck"]

    assert stuck.returncode == 1
    assert stuck.stdout == "answers\n"
    assert "Timeout" in stuck.stderr
    assert "run_forever" in stuck.stderr


def test_a_process_that_answers_is_left_alone(ended: Mapping[str, subprocess.CompletedProcess[str]]) -> None:
    """While the loop turns, and after the watch has ended, nothing happens."""
    answering = ended["answers"]

    assert (answering.returncode, answering.stderr) == (0, "")
    assert answering.stdout == "answers\nended in order\n"
