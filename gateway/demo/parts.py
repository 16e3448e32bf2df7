"""The parts: processes of the demo on a leash, each with a log of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import gateway

#: Where the packages are: parts run what their supervisor runs, wherever it was started from.
ROOT = Path(gateway.__file__).parents[1]

#: Lines of a log that are shown when its part fails.
TAIL_LINES = 25


class Part:
    """One process: started in a session of its own, stopped by SIGTERM and, where it does not mind, by SIGKILL."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        leash: int,
        *,
        stdin: bytes = b"",
    ) -> None:
        """
        Run `python -m` *module* on the *leash*, the reading end of the supervisor's pipe.

        *stdin*, at most a pipe's capacity (16 KiB on every platform), is what it reads there.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway.leash", str(leash), module, *arguments],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(leash,),
            )
        if self._process.stdin is not None:
            # A part that ended before it read anything is found by its exit code.
            with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(stdin)

    @property
    def exit_code(self) -> int | None:
        """The exit code of a part that has ended; negative for a signal."""
        return self._process.poll() if self._process else None

    def said(self) -> str:
        """Return the part's log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self) -> str:
        """Return the end of the part's log."""
        return "\n".join(self.said().splitlines()[-TAIL_LINES:]) or "(its log is empty)"

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def await_stop(self, until: float) -> None:
        """Wait for the end until the monotonic time *until*, then kill the part and whatever it started."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def environment_of(extra: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment of a part: this process's, without any setting of another Loopgate, and *extra*.

    Calls on loopback never go through a proxy.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOPGATE_", "SLACK_"))}
    direct = ",".join(filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1,localhost")))
    return {**kept, "NO_PROXY": direct, "no_proxy": direct, "PYTHONUNBUFFERED": "1", **extra}
