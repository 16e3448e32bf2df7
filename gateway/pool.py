"""The pool: several processes, watched. Who dies is replaced, with back-off; who grows too large, in order."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.leash import READY_FD, REFUSED

log = structlog.stdlib.get_logger()

#: Seconds processes have to end by themselves: longer than workers take over what is under way and over letting go of
#: it. Then they are killed; what they held is free when its lease is over.
STOP_PATIENCE_S = 28.0

#: The wait before a process that had got up is replaced, in seconds: however often that happens, starting it must not
#: be all this machine does.
FIRST_WAIT_S = 0.5

#: The longest wait before a process that did not get up is started again, in seconds; it begins with the first wait and
#: doubles.
LONGEST_WAIT_S = 30.0

#: Starts in a row after which a process that never got up is not kept up. When that is true of all, the pool ends:
#: something is wrong that another start does not mend, and whoever watches the pool must see it.
STARTS_MAX = 5

#: Seconds the first process has to get up before the others are started all the same. They wait so that what is wrong
#: with the configuration is said once.
AHEAD_S = 10.0

_LOOK_S = 0.1
_WEIGH_EVERY_S = 5.0


@dataclass
class _Place:
    """One process's place: its process, if it has one, when it was started, and when the next may be."""

    number: int
    child: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0
    ready: int | None = None
    is_refused: bool = False
    is_leaving: bool = False


class Pool:
    """
    Keeps *processes* running ``python -m`` what *command* says for each place, until told to stop.

    Each runs in a session of its own, so that a Ctrl-C is the pool's to pass on, and ends with the pool however that
    ends. The first goes ahead: where it refuses to start as configured, the pool ends with its exit code, and nobody
    else says the same. One whose resident memory is over *memory_max* bytes (0 for any) is told to stop and replaced;
    how large it is can be seen on Linux only.

    Args:
        kind: What the log calls one of them.
        descriptors: What they inherit.
        ended: Told the place of a process that has ended, before another one has it.
        told: Called once, when the pool is about to tell all to stop.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        processes: int,
        *,
        kind: str = "worker",
        descriptors: Sequence[int] = (),
        ended: Callable[[int], object] = lambda _: None,
        told: Callable[[], object] = lambda: None,
        memory_max: int = 0,
        first_wait_s: float = FIRST_WAIT_S,
        stop_patience_s: float = STOP_PATIENCE_S,
        ahead_s: float = AHEAD_S,
        weigh_every_s: float = _WEIGH_EVERY_S,
    ) -> None:
        self._command = command
        self._places = [_Place(number) for number in range(processes)]
        self._kind = kind
        self._descriptors = tuple(descriptors)
        self._on_end = ended
        self._on_stop = told
        self._memory_max = memory_max
        self._first_wait_s = first_wait_s
        self._stop_patience_s = stop_patience_s
        self._ahead_s = ahead_s
        self._weigh_every_s = weigh_every_s
        self._told = 0
        self._refusal: int | None = None
        self._have_got_up = False
        self._has_begun = False
        self._weighed_at = 0.0
        self._leash, self._hold = os.pipe()

    def run(self) -> int:
        """
        Keep the processes up until SIGTERM or SIGINT; return the exit code.

        It is 1 where none could be kept up, and the first one's where that refused to start.
        """
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: self._tell())
        log.info("pool.started", processes=len(self._places))
        while not self._told:
            now = time.monotonic()
            for place in self._begun(now):
                self._look(place, now)
            if self._refusal is not None:
                log.error("pool.refused", code=self._refusal)
                self._stop()
                return self._refusal
            if all(place.failures >= STARTS_MAX for place in self._begun(now)):
                log.error("pool.gave_up", starts=STARTS_MAX)
                self._stop()
                return 1
            if now - self._weighed_at > self._weigh_every_s:
                self._weighed_at = now
                self._weigh()
            time.sleep(_LOOK_S)
        self._stop()
        log.info("pool.stopped")
        return 0

    def _tell(self) -> None:
        self._told += 1

    def _begun(self, now: float) -> list[_Place]:
        """Return the places that may have a process: the first alone until it has got up, or it takes it too long."""
        first = self._places[0]
        is_late = first.child is not None and now - first.started_at > self._ahead_s
        self._has_begun = self._has_begun or self._have_got_up or is_late
        return self._places if self._has_begun else [first]

    def _look(self, place: _Place, now: float) -> None:
        child = place.child
        if child is not None:
            code = child.poll()
            self._listen(place, is_over=code is not None)
            if code is not None:
                self._replace(place, code, now)
        elif now >= place.start_at:
            self._start(place, now)

    def _listen(self, place: _Place, *, is_over: bool) -> None:
        """Hear whether the process has got up; whoever did not before its end failed."""
        if place.ready is None:
            return
        said = b""
        with contextlib.suppress(BlockingIOError):
            said = os.read(place.ready, 1)
        if said or is_over:
            os.close(place.ready)
            place.ready = None
            place.is_refused = said == REFUSED
            is_up = said not in {b"", REFUSED}
            self._have_got_up |= is_up
            place.failures = 0 if is_up else place.failures + 1

    def _replace(self, place: _Place, code: int, now: float) -> None:
        lived = round(now - place.started_at, 1)
        wait = min(LONGEST_WAIT_S, self._first_wait_s * 2.0 ** max(0, place.failures - 1))
        if place.is_leaving:
            wait = 0.0
        if place.is_refused and not self._have_got_up:
            self._refusal = code
        said = {"place": place.number, "code": code, "lived_s": lived, "wait_s": wait, "asked": place.is_leaving}
        log.warning(self._event("ended"), **said)
        self._on_end(place.number)
        place.child, place.start_at, place.is_leaving = None, now + wait, False

    def _start(self, place: _Place, now: float) -> None:
        place.ready, says = os.pipe()
        os.set_blocking(place.ready, False)
        place.child = subprocess.Popen(
            [sys.executable, "-m", "gateway.leash", str(self._leash), *self._command(place.number)],
            pass_fds=(self._leash, says, *self._descriptors),
            env={**os.environ, READY_FD: str(says)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(says)
        place.started_at = now
        log.info(self._event("begun"), place=place.number, pid=place.child.pid)

    def _weigh(self) -> None:
        """
        Tell the largest process to leave if it is too large; one at a time, so that the others go on.

        Only one that has got up: before, it does not know yet how to leave in order, and its end would be a failure.
        """
        if not self._memory_max or any(place.is_leaving for place in self._places):
            return
        weights = [(resident(each.child.pid), each) for each in self._places if each.child and each.ready is None]
        weight, place = max(weights, key=lambda pair: pair[0], default=(0, None))
        if place is not None and weight > self._memory_max:
            log.warning(self._event("too_large"), place=place.number, bytes=weight)
            place.is_leaving = True
            self._signal(place, signal.SIGTERM)

    def _stop(self) -> None:
        """Tell every process, pass further signals on, and kill who does not end in time."""
        self._on_stop()
        end, passed_on = time.monotonic() + self._stop_patience_s, 0
        while self._running() and time.monotonic() < end:
            # A second signal, if there was one, makes them hurry; a server hurries at an interrupt only.
            if passed_on == 0 or passed_on < self._told:
                for place in self._places:
                    self._signal(place, signal.SIGINT if passed_on else signal.SIGTERM)
                passed_on += 1
            time.sleep(_LOOK_S)
        for place in self._running():
            log.error(self._event("killed"), place=place.number)
            self._signal(place, signal.SIGKILL)
        for place in self._places:
            if place.child:
                place.child.wait()
        os.close(self._leash)
        os.close(self._hold)

    def _event(self, verb: str) -> str:
        return f"{self._kind}.{verb}"

    def _running(self) -> list[_Place]:
        return [place for place in self._places if place.child and place.child.poll() is None]

    def _signal(self, place: _Place, number: signal.Signals) -> None:
        if place.child:
            with contextlib.suppress(ProcessLookupError):
                place.child.send_signal(number)


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 where that cannot be seen."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
