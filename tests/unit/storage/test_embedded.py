"""The embedded server: one per directory, shared by processes, outliving them with its data, stopped by its owner."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from patience import PATIENCE_S
from redis import Redis
from redis import exceptions as redis_errors

from gateway.storage.connect import connect, connect_sync
from gateway.storage.embedded import LONGEST_SOCKET_PATH, EmbeddedServer
from gateway.storage.health import Verdict, check
from loops.errors import StoreUnavailable

#: A process that asks for the server of the directory in argv, says what it got and waits to be told to stop.
ASK = """
import sys
from gateway.storage.embedded import EmbeddedServer
server = EmbeddedServer(sys.argv[1])
server.start()
print(server.pid, server.is_owner, server.url, flush=True)
sys.stdin.readline()
server.stop()
"""

Ask = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory with a short path, whose server is ended whatever the test left running."""
    directory = Path(tempfile.mkdtemp(prefix="lg-"))
    yield directory
    with EmbeddedServer(directory):
        pass
    shutil.rmtree(directory)


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Start a process of its own session that asks for a directory's server."""
    asked: list[subprocess.Popen[str]] = []

    def start(directory: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", ASK, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        asked.append(process)
        return process

    yield start
    for process in asked:
        process.kill()
        process.communicate()


def answer(process: "subprocess.Popen[str]") -> tuple[int, bool, str]:
    """Return the server's pid, whether the process owns it, and its URL."""
    assert process.stdout is not None
    pid, owner, url = process.stdout.readline().split(maxsplit=2)
    return int(pid), owner == "True", url.strip()


def is_up(url: str) -> bool:
    """Whether a server answers at *url*."""
    with connect_sync(url) as client:
        try:
            return bool(client.ping())
        except redis_errors.ConnectionError:
            return False


def put(url: str, value: str, *, to_disk: bool = False) -> None:
    """
    Write *value*; *to_disk* waits until the server's disk has it.

    While a disk is slow, a server that syncs every second answers up to two seconds before it writes to its file
    (`flushAppendOnlyFile` in Valkey's aof.c): what it answered then is lost when it is killed.
    """
    with Redis.from_url(url) as client:
        client.set("kept", value)
        if to_disk:
            assert client.execute_command("WAITAOF", 1, 0, 30_000)[0] == 1


def kept(url: str) -> str:
    """Read it back."""
    with Redis.from_url(url, decode_responses=True) as client:
        return str(client.get("kept"))


async def test_it_keeps_what_it_acknowledges(data_dir: Path) -> None:
    """The embedded server has nothing that the health check would object to."""
    with EmbeddedServer(data_dir) as server:
        async with connect(server.url) as client:
            assert await check(client) == Verdict()


def test_only_its_user_reaches_it(data_dir: Path) -> None:
    """It listens on a unix socket that others cannot open, and on no port."""
    with EmbeddedServer(data_dir) as server, Redis.from_url(server.url) as client:
        assert Path(client.connection_pool.connection_kwargs["path"]).stat().st_mode & 0o077 == 0
        assert client.config_get("port") == {"port": "0"}


def test_a_second_process_shares_it(data_dir: Path, ask: Ask) -> None:
    """A process that asks for a directory whose server runs gets that server, and does not stop it."""
    with EmbeddedServer(data_dir) as server:
        put(server.url, "first")
        second = ask(data_dir)

        assert answer(second) == (server.pid, False, server.url)
        second.communicate("stop\n", timeout=PATIENCE_S)
        assert second.returncode == 0
        assert kept(server.url) == "first"


def test_processes_that_ask_at_once_share_one(data_dir: Path, ask: Ask) -> None:
    """However many processes ask at the same moment, one server is started and one of them owns it."""
    answers = [answer(process) for process in [ask(data_dir) for _ in range(5)]]

    assert len({pid for pid, _, _ in answers}) == 1
    assert [owner for _, owner, _ in answers].count(True) == 1


def test_the_owner_stops_it_cleanly(data_dir: Path) -> None:
    """After stop nothing runs and nothing stale lies about; the next start has all the data."""
    server = EmbeddedServer(data_dir)
    url = server.start()
    pid = server.pid
    put(url, "before")
    server.stop()

    assert not is_up(url)
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not (data_dir / "server.json").exists()
    assert not (data_dir / "valkey.sock").exists()
    with pytest.raises(StoreUnavailable, match="is not running"):
        assert server.url
    with server:
        assert kept(server.url) == "before"


def test_start_and_stop_may_be_repeated(data_dir: Path) -> None:
    """Starting twice is starting once; stopping what does not run does nothing."""
    server = EmbeddedServer(data_dir)
    server.stop()
    assert server.start() == server.start()
    server.stop()
    server.stop()


def test_it_survives_its_owner(data_dir: Path, ask: Ask) -> None:
    """After kill -9 of the owner the server and its data are there, and the next process that asks takes it over."""
    owner = ask(data_dir)
    pid, owned, url = answer(owner)
    assert owned
    put(url, "written before the kill")
    owner.kill()
    owner.wait()

    with EmbeddedServer(data_dir) as heir:
        assert (heir.pid, heir.is_owner, heir.url) == (pid, True, url)
        assert kept(url) == "written before the kill"
    assert not is_up(url)


def test_data_survives_server_and_owner(data_dir: Path, ask: Ask) -> None:
    """After kill -9 of both, the stale socket and state file are no hindrance and what was on its disk is back."""
    owner = ask(data_dir)
    pid, _, url = answer(owner)
    for number in range(1000):
        put(url, f"write {number}", to_disk=number == 999)
    for victim in (pid, owner.pid):
        os.kill(victim, signal.SIGKILL)
    owner.wait()

    with EmbeddedServer(data_dir) as server:
        assert server.pid != pid
        assert kept(server.url) == "write 999"


def test_an_owner_whose_server_died_starts_another(data_dir: Path) -> None:
    """Starting again after the server was killed brings it and its data back at the same URL."""
    with EmbeddedServer(data_dir) as server:
        put(server.url, "before", to_disk=True)
        first_url, first_pid = server.url, server.pid
        assert first_pid is not None
        os.kill(first_pid, signal.SIGKILL)

        assert server.start() == first_url
        assert server.pid != first_pid
        assert kept(first_url) == "before"


def test_a_server_that_hangs_is_not_joined_by_another(data_dir: Path, ask: Ask) -> None:
    """While a server lives, however silent, no second one is started on its files; when it answers it is used."""
    owner = ask(data_dir)
    pid, _, url = answer(owner)
    owner.kill()
    owner.wait()
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match="does not answer; its log ends"):
            EmbeddedServer(data_dir, timeout_s=0.5).start()
    finally:
        os.kill(pid, signal.SIGCONT)

    with EmbeddedServer(data_dir) as heir:
        assert (heir.pid, heir.url) == (pid, url)


def test_ctrl_c_leaves_it_running(data_dir: Path, ask: Ask) -> None:
    """An interrupt of the terminal's foreground group does not reach the server."""
    owner = ask(data_dir)
    _, _, url = answer(owner)
    os.killpg(owner.pid, signal.SIGINT)
    owner.wait(PATIENCE_S)

    assert is_up(url)


def test_a_fork_of_the_owner_is_not_the_owner(data_dir: Path) -> None:
    """A child the owner forked, such as a worker's, does not take the server down when it ends."""
    script = """
import os, sys
from gateway.storage.embedded import EmbeddedServer, _answers
with EmbeddedServer(sys.argv[1]) as server:
    child = os.fork()
    if child == 0:
        server.stop()
        os._exit(0)
    os.waitpid(child, 0)
    print(_answers(server.url))
"""
    found = subprocess.run([sys.executable, "-c", script, str(data_dir)], capture_output=True, text=True, check=True)

    assert found.stdout == "True\n"


@pytest.mark.parametrize("name", ["with space, % and é", "d" * 150])
def test_any_directory_name_works(data_dir: Path, name: str) -> None:
    """A path that URLs would quote works; one too long for a socket gets a private place that is cleaned up."""
    with EmbeddedServer(data_dir / name) as server:
        put(server.url, "here")
        with Redis.from_url(server.url) as client:
            socket = Path(client.connection_pool.connection_kwargs["path"])
        assert len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH
        assert kept(f"{server.url}?db=0") == "here"

    assert not socket.exists()
    assert socket.parent == data_dir / name or not socket.parent.exists()


@pytest.mark.parametrize("state", [b"", b"{", b'{"url": "unix:///nowhere", "socket": "/nowhere"}'])
def test_a_damaged_state_file_is_no_hindrance(data_dir: Path, state: bytes) -> None:
    """A half-written state file, or one that names a server long gone, is replaced."""
    (data_dir / "server.json").write_bytes(state)

    with EmbeddedServer(data_dir) as server:
        assert is_up(server.url)


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    """When the data cannot be read, the error carries the end of the server's log and the data stays as it is."""
    with EmbeddedServer(data_dir) as server:
        put(server.url, "before")
    manifest = data_dir / "appendonlydir" / "appendonly.aof.manifest"
    sound = manifest.read_bytes()
    manifest.write_bytes(b"nonsense\n")
    server = EmbeddedServer(data_dir)

    with pytest.raises(StoreUnavailable, match=r"does not start; its log ends:\n(.|\n)*Invalid AOF manifest"):
        server.start()

    manifest.write_bytes(sound)
    with server:
        assert kept(server.url) == "before"
