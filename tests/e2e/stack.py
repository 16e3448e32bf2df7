"""The whole gateway as real processes: store, sandbox, receiver, any number of gateways and workers."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from patience import PATIENCE_S
from ports import free_ports
from replicas import Replicated
from ruamel.yaml import YAML
from standardwebhooks import Webhook

from channels.slack.manifest import SCOPES
from channels.slack.roster import Roster
from gateway.audit import AuditedLedger, audit
from gateway.standard_webhooks import new_secret
from gateway.storage.connect import connect
from gateway.storage.embedded import EmbeddedServer
from gateway.storage.redis_knowledge import RedisKnowledge
from gateway.storage.redis_store import RedisStore
from loops.ledger import Verified

T = TypeVar("T")

TEAM, APP, CHANNEL = "T0TEST", "A0TEST", "C0SRE"
PEOPLE = {
    "dana": ("Dana Ops", ["sre"]),
    "sam": ("Sam Lee", ["sre"]),
    "robin": ("Robin Park", ["sre"]),
    "kim": ("Kim Novak", ["finance"]),
    **{f"sre{number}": (f"Engineer {number}", ["sre"]) for number in range(1, 9)},
}
#: In the workspace, and mapped to nobody.
STRANGER = "U0ALEX"

CHANGE = {
    "changeId": "CHG-1",
    "service": "checkout",
    "summary": "Scale checkout to 12 replicas",
    "environment": "production",
    "parameters": {"max_replicas": 12},
}


#: The secrets deliveries are taken with, unset: a worker does without.
_TAKES_NOTHING = {"SLACK_SIGNING_SECRET": "", "SLACK_APP_TOKEN": ""}


def slack_id(person: str) -> str:
    """Return the Slack user of *person*."""
    return f"U0{person.upper()}"


class Process:
    """One child process in its own session, its output in a file."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [sys.executable, *arguments],
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._child.poll() is None

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self._child.kill()
        self._child.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.is_running:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {PATIENCE_S:.0f} s:\n{self.tail()}") from None

    def tail(self) -> str:
        """The end of its output."""
        return self._log.read_text(errors="replace")[-4_000:]


class Stack:
    """Everything, started and stopped together; *slack_mode* is how the sandbox delivers."""

    def __init__(
        self,
        home: Path,
        *,
        recording: str = "infrastructure_change",
        pace: float | None = None,
        slack_mode: str = "http",
        loops: Mapping[str, str] | None = None,
        store: Replicated | None = None,
        adjust: Callable[[dict[str, Any], dict[str, Any]], None] = lambda *_: None,
        **settings: str,
    ) -> None:
        """
        *pace*: the gateway's, as a multiple of Slack's limits, and the sandbox's; None for no limits.

        *store*: servers that run already, instead of an embedded one.

        *loops*: files by name, whose loops take the place of shipped ones with the same id. *adjust* changes the
        gateway's configuration and the sandbox's before they are written.
        """
        self._adjust = adjust
        self.home = home
        self.http = httpx2.Client(timeout=PATIENCE_S, limits=httpx2.Limits(max_connections=64))
        self.receiver_port, self.sandbox_port, *self.gateway_ports = free_ports(4)
        self.sandbox = f"http://127.0.0.1:{self.sandbox_port}"
        self.receiver = f"http://127.0.0.1:{self.receiver_port}"
        self._source_secret, self.deployer_secret = new_secret(), new_secret()
        self._settings = {"LOOPGATE_EFFECT_LEASE_S": "2", "LOOPGATE_EFFECT_GRACE_S": "2", **settings}
        self._settings["LOOPGATE_SLACK_MODE"] = slack_mode
        self._is_socket = slack_mode == "socket"
        self._users: list[str] = []
        self._user_groups: list[str] = []
        self._recording = recording
        self._loops = dict(loops or {})
        self._pace = pace or 1000
        self._limits = {"rate_limits": "slack", "rate_factor": pace} if pace else {"rate_limits": "off"}
        self._store = EmbeddedServer(home / "store")
        self._replicated = store
        self._stack = ExitStack()
        self._app_token = f"xapp-{secrets.token_hex(8)}"
        self._signing_secret, self._token = secrets.token_hex(16), f"xoxb-{secrets.token_hex(8)}"
        self.gateways: list[Process] = []
        self.workers: list[Process] = []
        self._others: list[Process] = []

    def __enter__(self) -> "Stack":
        if not self._replicated:
            self._stack.enter_context(self._store)
        self._write_configuration()
        self._others = [
            self._start("receiver", [str(Path(__file__).parent / "receiver.py"), str(self.receiver_port)]),
            self._start(
                "sandbox",
                [
                    "-m",
                    "channels.slack_sandbox",
                    "--port",
                    str(self.sandbox_port),
                    "--config",
                    str(self.home / "sandbox.json"),
                ],
            ),
        ]
        self.start_gateway()
        self.start_worker()
        try:
            self._until_up(f"{self.sandbox}/sandbox/messages?channel={CHANNEL}")
            self._until_up(f"{self.receiver}/calls")
            self.await_gateway()
            self.until(lambda: _done(self._knows_everybody()), "the gateway to have asked who is who")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        processes = [*self.workers, *self.gateways, *self._others]
        for process in processes:
            if process.is_running:
                os.kill(process.pid, signal.SIGCONT)
                os.kill(process.pid, signal.SIGTERM)
        for process in processes:
            process.stop()
        self.http.close()
        self._stack.close()

    @property
    def store_url(self) -> str:
        """The store's URL."""
        return self._replicated.url if self._replicated else self._store.url

    def gateway(self, number: int = 0) -> str:
        """Return the URL of a gateway."""
        return f"http://127.0.0.1:{self.gateway_ports[number]}"

    def start_gateway(self, number: int = 0) -> Process:
        """Start a gateway on its port."""
        port = {"LOOPGATE_PORT": str(self.gateway_ports[number])}
        process = self._start(f"gateway{number}", ["-m", "gateway.cli", "serve"], port)
        self.gateways.append(process)
        return process

    def start_worker(self, name: str = "") -> Process:
        """Start one more worker; its output goes to the log of its *name*."""
        process = self._start(name or f"worker{len(self.workers)}", ["-m", "gateway.cli", "work"], _TAKES_NOTHING)
        self.workers.append(process)
        return process

    def await_gateway(self, number: int = 0) -> None:
        """Wait until a gateway is ready, and its Socket Mode connections are up."""
        self._until_up(f"{self.gateway(number)}/readyz")
        if self._is_socket:
            self.until(lambda: self.metric("loopgate_slack_socket_connections", number) == 2, "two connections")

    def metric(self, name: str, number: int = 0) -> float:
        """Return a metric of a gateway, the sum over its labels; 0 where it has none."""
        lines = self.http.get(f"{self.gateway(number)}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].split(" ")[0] == name)

    def stop_store(self) -> None:
        """Take the store away."""
        self._store.stop()

    def start_store(self) -> None:
        """Bring the store back, where it was."""
        self._store.start()

    def run_cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `loopgate` command against this stack."""
        return subprocess.run(
            [sys.executable, "-m", "gateway.cli", *arguments],
            env=self._environment({"LOOPGATE_PORT": str(self.gateway_ports[0])}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def deliver(
        self, body: Any, *, delivery_id: str | None = None, source: str = "ci", at: datetime | None = None
    ) -> httpx2.Response:
        """Send a signed webhook as the CI system."""
        payload = body if isinstance(body, str) else json.dumps(body)
        headers = self.signed(payload, delivery_id or f"msg_{secrets.token_hex(8)}", at or datetime.now(UTC))
        return self.http.post(f"{self.gateway()}/webhooks/{source}", content=payload.encode(), headers=headers)

    def signed(self, payload: str, delivery_id: str, at: datetime) -> dict[str, str]:
        """Return the headers of a webhook that the CI system sends *at* a moment."""
        return {
            "content-type": "application/json",
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(self._source_secret).sign(delivery_id, at, payload),
        }

    def propose(self, change_id: str, *, requested_by: str = "lee") -> dict[str, Any]:
        """Have the CI system propose a change; return the card that asks about it, once it is on record."""
        data = {**CHANGE, "changeId": change_id, "requestedBy": requested_by}
        answer = self.deliver({"type": "change.proposed", "data": data})
        assert answer.status_code == 202, answer.text
        return self.posted(change_id)

    def cards(self) -> list[dict[str, Any]]:
        """Return the messages in the approvers' channel, oldest first."""
        answer = self.http.get(f"{self.sandbox}/sandbox/messages", params={"channel": CHANNEL}).json()
        return list(answer["messages"])

    def card(self, change_id: str, *, saying: str = "") -> dict[str, Any]:
        """Wait for the card about *change_id*, and until it says *saying*; return it."""
        return self.until(lambda: self._card(change_id, saying), f"the card of {change_id} to say {saying!r}")

    def posted(self, change_id: str) -> dict[str, Any]:
        """
        Wait for the card about *change_id*, and for its place on the ledger; return it.

        People see a card before the worker that posted it has put that on record. From then on nothing comes on the
        ledger of what waits for people but what they do.
        """
        card = self.card(change_id)
        self.until(lambda: "approval.card.posted" in self.recorded(change_id), f"the card of {change_id} on record")
        return card

    def recorded(self, aggregate: str) -> list[str]:
        """Return the types of the events of an aggregate, in order."""
        return [event["type"] for event in self.audited(aggregate)]

    def click(
        self, card: Mapping[str, Any], button: str, by: str, client: httpx2.Client | None = None
    ) -> dict[str, Any]:
        """
        Click a card's *button* as the Slack user of the person *by*; return what came of the delivery.

        Its ``status`` is None where no answer came in time, and where nobody could click that any more.
        """
        element = next((e for e in _buttons(card) if e["text"]["text"] == button), None)
        offered = [each["text"]["text"] for each in _buttons(card)]
        assert element is not None, f"the card offers {offered}, not {button}"
        asked = {
            "user": by if by.startswith("U") else slack_id(by),
            "channel": CHANNEL,
            "ts": card["ts"],
            "action_id": element["action_id"],
        }
        answer = (client or self.http).post(f"{self.sandbox}/sandbox/act/click", json=asked)
        return {"status": None, **answer.json()}

    def view(self, user: str) -> dict[str, Any]:
        """Wait for a modal of the person *user*; return the top one."""

        def top() -> dict[str, Any] | None:
            answer = self.http.get(f"{self.sandbox}/sandbox/views", params={"user": slack_id(user)}).json()
            return answer["views"][-1] if answer["views"] else None

        return self.until(top, f"a modal of {user}")

    def submit(self, user: str, view: Mapping[str, Any], text: str) -> dict[str, Any]:
        """Fill the one input of *view* with *text* and submit it; return what came of it, as `click` does."""
        block = next(block for block in view["blocks"] if block["type"] == "input")
        values = {block["block_id"]: {block["element"]["action_id"]: text}}
        asked = {"user": slack_id(user), "view_id": view["id"], "values": values}
        return {"status": None, **self.http.post(f"{self.sandbox}/sandbox/act/submit", json=asked).json()}

    def private_words(self, user: str, after: float = 0.0) -> list[str]:
        """Return what only *user* was shown after the moment *after*, oldest first."""
        return [message["text"] for message in self._ephemerals(user) if float(message["ts"]) > after]

    def last_private_word_at(self, user: str) -> float:
        """Return when *user* was last shown something alone; 0 for never. The sandbox keeps only the latest ones."""
        return max((float(message["ts"]) for message in self._ephemerals(user)), default=0.0)

    def _ephemerals(self, user: str) -> list[dict[str, Any]]:
        user_id = user if user.startswith("U") else slack_id(user)
        answer = self.http.get(f"{self.sandbox}/sandbox/ephemerals", params={"user": user_id}).json()
        return list(answer["messages"])

    def calls(self) -> dict[str, Any]:
        """Return what the receiver got and did."""
        return dict(self.http.get(f"{self.receiver}/calls").json())

    def ledger(self, aggregate: str) -> list[dict[str, Any]]:
        """Return the events of an aggregate, after `loopgate audit verify` held."""
        verified = self.run_cli("audit", "verify", aggregate, "--json")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        shown = self.run_cli("audit", "show", aggregate, "--json")
        return list(json.loads(shown.stdout))

    def audited(self, aggregate: str) -> list[dict[str, Any]]:
        """Return the events of an aggregate, verified, read from the store at once: for loads that ask often."""

        async def read() -> AuditedLedger | None:
            async with connect(self.store_url) as client:
                return await audit(RedisStore(client), "default", aggregate)

        found = _done(read())
        assert found is not None, f"no ledger of {aggregate}"
        assert isinstance(found.verdict, Verified), found.verdict
        return [event.as_json() for event in found.events]

    def until(self, ask: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
        """Ask until the answer is one, and return it; fail with every process's last words."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            answer = ask()
            if answer:
                return answer
            time.sleep(0.05)
        tails = "\n".join(f"--- {p.name}\n{p.tail()}" for p in (*self.gateways, *self.workers, *self._others))
        raise AssertionError(f"waited {patience_s:.0f} s in vain for {what}\n{tails}")

    async def _knows_everybody(self) -> bool:
        """Whether a click can be judged at once, whoever clicks: a gateway asks Slack about people as it starts."""
        async with connect(self.store_url) as client:
            known = await Roster(RedisKnowledge(client), TEAM).look(self._users, self._user_groups)
        return all(None not in each for each in known)

    def _card(self, change_id: str, saying: str) -> dict[str, Any] | None:
        for message in self.cards():
            shown = json.dumps(message)
            if change_id in shown and saying in shown:
                return message
        return None

    def _until_up(self, url: str) -> None:
        def answers() -> bool:
            try:
                return self.http.get(url).status_code == 200
            except httpx2.TransportError:
                return False

        self.until(answers, f"{url} to answer")

    def _start(self, name: str, arguments: list[str], extra: Mapping[str, str] | None = None) -> Process:
        return Process(name, arguments, self._environment(extra or {}), self.home / f"{name}.log")

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(("LOOPGATE_", "SLACK_"))},
            "LOOPGATE_CONFIG": str(self.home / "loopgate.yaml"),
            "LOOPGATE_REDIS_URL": self.store_url,
            "SLACK_BOT_TOKEN": self._token,
            # Each mode has its own secret and must do without the other's.
            **(
                {"SLACK_APP_TOKEN": self._app_token}
                if self._is_socket
                else {"SLACK_SIGNING_SECRET": self._signing_secret}
            ),
            "CI_SECRET": self._source_secret,
            "DEPLOYER_SECRET": self.deployer_secret,
            "RECEIVER_SECRET": self.deployer_secret,
            **self._settings,
            **extra,
        }

    def _write_configuration(self) -> None:
        configuration = {
            "slack": {
                "team": TEAM,
                "app": APP,
                "botUser": "U0BOT",
                "pace": self._pace,
                "apiUrl": f"{self.sandbox}/api/",
                "publicUrl": self.gateway(),
                "channels": {"sre-approvals": CHANNEL, "finance-approvals": CHANNEL},
            },
            "people": [
                {"id": person, "name": name, "groups": groups, "slack": slack_id(person)}
                for person, (name, groups) in PEOPLE.items()
            ],
            "providers": {
                "analyst": {"kind": "recorded", "recording": self._recording},
                "reviewer": {"kind": "recorded", "recording": "purchase_approval"},
            },
            "integrations": {
                name: {"kind": "webhook", "url": f"{self.receiver}/hook", "secretEnv": "DEPLOYER_SECRET", "timeoutS": 5}
                for name in ("deployer", "erp")
            },
            "sources": {
                "ci": {
                    "verifier": "standard-webhooks",
                    "secretEnv": "CI_SECRET",
                    "actor": {"serviceId": "ci", "displayName": "CI", "onBehalfOf": "data.requestedBy"},
                    "rules": [
                        {
                            "when": {"type": "change.proposed"},
                            "start": {
                                "loop": "infrastructure.change",
                                "aggregateId": "{{ body.data.changeId }}",
                                "whole": "data",
                            },
                        },
                        {
                            "when": {"type": "loop.wanted"},
                            "start": {"loop": "no.such.loop", "aggregateId": "{{ body.data.changeId }}"},
                        },
                    ],
                }
            },
            "adhoc": {"channels": ["sre-approvals"], "groups": ["sre"]},
            "loops": ["library", *(["loops"] if self._loops else [])],
        }
        for name, text in self._loops.items():
            (self.home / "loops").mkdir(exist_ok=True)
            (self.home / "loops" / name).write_text(text)
        sandbox = {
            "team": {"id": TEAM, "name": "Test", "domain": "test"},
            "app": {
                "app_id": APP,
                "bot_token": self._token,
                "signing_secret": self._signing_secret,
                "app_token": self._app_token,
                "socket_mode": self._is_socket,
                "scopes": list(SCOPES),
                "bot_user": {"id": "U0BOT", "name": "loopgate"},
                "request_url": f"{self.gateway()}/slack/events",
                "commands": [{"command": "/loops", "description": "Inspect loops"}],
            },
            "channels": [
                {
                    "id": CHANNEL,
                    "name": "sre-approvals",
                    "members": ["U0BOT", STRANGER, *(slack_id(person) for person in PEOPLE)],
                }
            ],
            "users": [
                *({"id": slack_id(p), "name": p, "real_name": name} for p, (name, _) in PEOPLE.items()),
                {"id": STRANGER, "name": "alex", "real_name": "Alex Guest"},
            ],
            **self._limits,
        }
        self._adjust(configuration, sandbox)
        self._users = [person["slack"] for person in configuration["people"]]
        self._user_groups = [group["slackUserGroup"] for group in configuration.get("groups", {}).values()]
        with (self.home / "loopgate.yaml").open("w") as file:
            YAML().dump(configuration, file)
        (self.home / "sandbox.json").write_text(json.dumps(sandbox))


def _done(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end, in a thread of its own: with a browser open, Playwright keeps a loop going in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _buttons(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        element
        for block in card["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
        if element["type"] == "button"
    ]
