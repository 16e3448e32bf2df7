"""The supervisor: starts every part of the demo, knows when all are ready, and leaves nothing behind."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from gateway.demo.files import (
    Addresses,
    free_ports,
    fresh_secrets,
    gateway_environment,
    loopgate_yaml,
    sandbox_config,
)
from gateway.demo.janitor import STORE
from gateway.demo.parts import Part, environment_of
from gateway.demo.progress import Progress
from gateway.storage.embedded import EmbeddedServer

#: Seconds until every part must be ready; a slow, cold machine takes some ten.
READY_TIMEOUT_S = 60.0
#: Seconds the parts have to end by themselves, all together.
STOP_GRACE_S = 3.0

_POLL_S = 0.02
_WATCH_S = 0.2


class DemoFailed(Exception):  # noqa: N818 - what became of the demo
    """The demo cannot go on; the message says which part failed and why."""


class Interrupted(Exception):  # noqa: N818 - what became of the demo
    """Somebody stopped the demo before it was ready."""


@dataclass(frozen=True, slots=True)
class _Step:
    part: Part
    shown: str
    is_ready: Callable[[], bool]


class Demo:
    """
    The running demo, as a context: ready when entered, gone when left.

    Args:
        model: Claude's model, or None for recordings.
        page_port: Where the one page is served, or None for a free port.
        stop: Set by whoever wants the demo to end.
    """

    def __init__(self, *, model: str | None, page_port: int | None, stop: threading.Event, progress: Progress) -> None:
        self._model = model
        self._stop = stop
        self._progress = progress
        self._parts: list[Part] = []
        self._janitor: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._leash, self._hold = os.pipe()
        self.home = Path(tempfile.mkdtemp(prefix="loopgate-demo-"))
        self.logs = self.home / "logs"
        gateway, sandbox, *page = free_ports(2 if page_port else 3)
        self.addresses = Addresses(gateway=_url(gateway), sandbox=_url(sandbox), stage=_url(page_port or page[0]))
        self._secrets = fresh_secrets()
        self._store = EmbeddedServer(self.home / STORE)

    @property
    def store_url(self) -> str:
        """The URL of the store."""
        return self._store.url

    def __enter__(self) -> Self:
        """
        Start all parts and wait until they are ready.

        Raises:
            DemoFailed: If one is not.
            Interrupted: If *stop* was set meanwhile.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def watch(self) -> None:
        """
        Wait until *stop* is set.

        Raises:
            DemoFailed: If a part ends before.
        """
        while not self._stop.wait(_WATCH_S):
            self.check()

    def check(self) -> None:
        """Raise `DemoFailed` if a part has ended."""
        for part in self._parts:
            if part.exit_code is not None:
                raise DemoFailed(f"{part.name} ended ({_ending(part.exit_code)}); its log ends:\n{part.tail()}")

    def stop(self) -> None:
        """End every part, the store last, and remove the directory. May be called again."""
        if self._is_stopped:
            return
        self._is_stopped = True
        for part in self._parts:
            part.ask_to_stop()
        until = time.monotonic() + STOP_GRACE_S
        for part in self._parts:
            part.await_stop(until)
        self._store.stop()
        shutil.rmtree(self.home, ignore_errors=True)
        os.close(self._leash)
        os.close(self._hold)
        if self._janitor is not None:
            # It would see the pipe end and the directory gone, and have nothing to do.
            self._janitor.kill()
            self._janitor.wait()

    def propose(self, scenario: str) -> dict[str, Any]:
        """
        Have the CI system announce *scenario*; return what Loopgate answered.

        Raises:
            DemoFailed: If the stage does not answer, or Loopgate did not take the proposal.
        """
        status, answer = ask(f"{self.addresses.stage}/propose", {"scenario": scenario})
        if status != 201:
            raise DemoFailed(f"the proposal was not taken: {json.dumps(answer)}")
        return dict(answer)

    def await_card(self, channel: str, timeout_s: float) -> bool:
        """Wait until Loopgate has posted in *channel*; False where it has not in time, or *stop* was set."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and not self._stop.is_set():
            self.check()
            _, answer = ask(f"{self.addresses.sandbox}/sandbox/messages?channel={channel}")
            if answer.get("messages"):
                return True
            time.sleep(_POLL_S)
        return False

    def _start(self) -> None:
        self.logs.mkdir()
        config = self.home / "loopgate.yaml"
        config.write_text(loopgate_yaml(self.addresses, self._model), encoding="utf-8")
        self._janitor = subprocess.Popen(
            [sys.executable, "-m", "gateway.demo.janitor", str(self._leash), str(self.home)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(self._leash,),
        )
        addresses = self.addresses
        slack = self._part("Slack", "slack_sandbox")
        slack.start(
            "channels.slack_sandbox",
            ["--port", str(_port(addresses.sandbox)), "--config", "/dev/stdin"],
            environment_of({}),
            self._leash,
            stdin=json.dumps(sandbox_config(addresses, self._secrets)).encode(),
        )
        began = time.monotonic()
        store_url = self._store.start()
        self._progress.done("Store", "Valkey, append-only", time.monotonic() - began)
        service = environment_of(
            {
                "LOOPGATE_CONFIG": str(config),
                "LOOPGATE_REDIS_URL": store_url,
                "LOOPGATE_PORT": str(_port(addresses.gateway)),
                "LOOPGATE_LOG_FORMAT": "console",
                # Somebody is looking: a model that cannot be reached is given up within seconds, and people take over.
                "LOOPGATE_EFFECT_ATTEMPTS": "4",
                **gateway_environment(self._secrets),
            }
        )
        gateway = self._part("Gateway", "gateway")
        gateway.start("gateway.cli", ["serve"], service, self._leash)
        worker = self._part("Worker", "worker")
        worker.start("gateway.cli", ["work"], service, self._leash)
        stage = self._part("Systems", "systems")
        stage.start("gateway.demo.stage", [], environment_of(self._stage_environment(store_url)), self._leash)
        self._await(
            [
                _Step(slack, "a local workspace that speaks Slack's protocol", _answers(f"{addresses.sandbox}/")),
                _Step(gateway, "takes webhooks and clicks", _answers(f"{addresses.gateway}/readyz")),
                _Step(worker, "carries out effects through RQ", lambda: "worker.started" in worker.said()),
                _Step(stage, "CI, deployer, ERP and the page", _answers(f"{addresses.stage}/page.json")),
            ]
        )

    def _part(self, name: str, log: str) -> Part:
        part = Part(name, self.logs / f"{log}.log")
        self._parts.append(part)
        return part

    def _stage_environment(self, store_url: str) -> Mapping[str, str]:
        settings = {
            "PORT": str(_port(self.addresses.stage)),
            "REDIS_URL": store_url,
            "GATEWAY_URL": self.addresses.gateway,
            "SANDBOX_URL": self.addresses.sandbox,
            "ASSESSED_BY": self._model or "",
            "CI_SECRET": self._secrets.ci,
            "DEPLOYER_SECRET": self._secrets.deployer,
            "ERP_SECRET": self._secrets.erp,
        }
        return {f"LOOPGATE_STAGE_{name}": value for name, value in settings.items()}

    def _await(self, steps: list[_Step]) -> None:
        began = time.monotonic()
        until = began + READY_TIMEOUT_S
        for step in steps:
            self._progress.begin(step.part.name, step.shown)
        while steps:
            if self._stop.is_set():
                raise Interrupted
            self.check()
            for step in [step for step in steps if step.is_ready()]:
                self._progress.done(step.part.name, step.shown, time.monotonic() - began)
                steps.remove(step)
            if steps and time.monotonic() > until:
                late = steps[0].part
                raise DemoFailed(
                    f"{late.name} is not ready after {READY_TIMEOUT_S:.0f} s; its log ends:\n{late.tail()}"
                )
            time.sleep(_POLL_S)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _port(url: str) -> int:
    port = urlsplit(url).port
    if port is None:
        raise ValueError(f"{url} names no port")
    return port


def _answers(url: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            return ask(url, timeout_s=1)[0] == 200
        except DemoFailed:
            return False

    return answers


def ask(url: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = 15) -> tuple[int, Any]:
    """
    GET *url*, or POST *body* to it as JSON; return the status and what was answered, as JSON where it is that.

    Raises:
        DemoFailed: If nobody answers in time.
    """
    # The standard library's client: an SDK's costs the supervisor a third of a second it has better use for.
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout_s)
    path = f"{parts.path or '/'}?{parts.query}"
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise DemoFailed(f"{url} does not answer: {error}") from error
    finally:
        connection.close()
    try:
        return response.status, json.loads(content)
    except ValueError:
        return response.status, content.decode(errors="replace")


def _ending(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
