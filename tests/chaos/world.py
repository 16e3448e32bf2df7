"""The world of one seed: two gateways behind a balancer, three workers, a store, Slack and a system of record."""

import os
import signal
import threading
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from chaos.clock import Clocks
from chaos.plan import GATEWAYS, WORKERS
from chaos.store import Store
from ports import free_ports
from stack import Process, Stack

#: A change nobody answers is refused after this long.
EXPIRES_S = 20

#: How long the gateway waits for the system of record.
INTEGRATION_TIMEOUT_S = 2


class World(Stack):
    """A `Stack` whose processes are known by name, can be killed and frozen, and have clocks of their own."""

    def __init__(self, home: Path, slack_mode: str) -> None:
        self._balancer_port = free_ports(1)[0]
        self.clocks = Clocks(home)
        super().__init__(
            home,
            slack_mode=slack_mode,
            loops={"change.yaml": _hurried()},
            adjust=self._adjust_all,
            LOOPGATE_EFFECT_LEASE_S="6",
            LOOPGATE_EFFECT_GRACE_S="5",
            LOOPGATE_EFFECT_ATTEMPTS="60",
            LOOPGATE_RETRY_LONGEST_S="5",
        )
        self.store = Store(home / "store")
        self._store = self.store
        self._named: dict[str, Process] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "World":
        super().__enter__()
        try:
            ports = [str(port) for port in (self._balancer_port, *self.gateway_ports)]
            self._others.append(self._start("balancer", [str(Path(__file__).with_name("balancer.py")), *ports]))
            self._named = {"gateway0": self.gateways[0], "worker0": self.workers[0]}
            for name in (*GATEWAYS[1:], *WORKERS[1:]):
                self.revive(name)
            for number in range(len(GATEWAYS)):
                self.await_gateway(number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def kill(self, name: str) -> bool:
        """Kill -9 a process; return whether it ran."""
        with self._lock:
            process = self._named[name]
            was_running = process.is_running
            process.kill()
        return was_running

    def revive(self, name: str) -> None:
        """Start a process that is not running."""
        with self._lock:
            if name in self._named and self._named[name].is_running:
                return
            kind, number = name[:-1], int(name[-1])
            self._named[name] = self.start_gateway(number) if kind == "gateway" else self.start_worker(name)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a process a signal, if it runs."""
        with self._lock:
            if self._named[name].is_running:
                os.kill(self._named[name].pid, number)

    def ended(self) -> list[str]:
        """Return the names of processes that do not run."""
        with self._lock:
            return [name for name, process in self._named.items() if not process.is_running]

    def last_words(self, name: str) -> str:
        """Return the end of a process's output."""
        return self._named[name].tail()

    def _start(self, name: str, arguments: list[str], extra: Mapping[str, str] | None = None) -> Process:
        clock = self.clocks.environment(name) if name in {*GATEWAYS, *WORKERS} else {}
        return super()._start(name, arguments, {**(extra or {}), **clock})

    def _adjust_all(self, configuration: dict[str, Any], sandbox: dict[str, Any]) -> None:
        integration = configuration["integrations"]["deployer"]
        integration |= {"timeoutS": INTEGRATION_TIMEOUT_S, "breaker": {"failures": 5, "pause": "3s"}}
        configuration["sources"]["ci"]["rules"].append(
            {
                "when": {"type": "change.dropped"},
                "cancel": {"aggregateId": "{{ body.data.changeId }}", "reason": "dropped by who asked"},
            }
        )
        if not sandbox["app"]["socket_mode"]:
            sandbox["app"]["request_url"] = f"http://127.0.0.1:{self._balancer_port}/slack/events"


def _hurried() -> str:
    """Return the shipped loop with reminders after seconds, and an end after some more."""
    shipped = (files("loops") / "library" / "infrastructure_change.yaml").read_text()
    hurried = shipped.replace("remindAfter: 1h", "remindAfter: 6s").replace(
        "expireAfter: 4h", f"expireAfter: {EXPIRES_S}s"
    )
    assert hurried != shipped
    return hurried
