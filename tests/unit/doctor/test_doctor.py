"""The doctor: all is well with a sound gateway, and each thing that is not is told with what to do about it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from patience import PATIENCE_S
from ports import refusing
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from unit.gateway.files import SECRETS, a_file
from unit.slack.rig import SeenInMemory, served

from channels.slack.asgi import PATH, Endpoint
from channels.slack.asgi_guard import SlackGuard
from channels.slack.installation import SlackInstallation
from channels.slack.manifest import SCOPES
from channels.slack.reception import Reception
from channels.slack_sandbox.app import create_app
from channels.slack_sandbox.config import SandboxConfig
from gateway.clock import SystemClock
from gateway.doctor.examination import EXAMINATION, examine
from gateway.doctor.findings import Finding, well
from gateway.doctor.patient import Patient, open_patient
from gateway.settings import Settings

SIGNING_SECRET = "b5e4ca1f8e3d4f0c"
ENVIRON = SECRETS | {"SLACK_SIGNING_SECRET": SIGNING_SECRET, "SLACK_APP_TOKEN": "xapp-test"}
SLACK = {
    "team": {"id": "T1", "name": "Acme"},
    "app": {
        "app_id": "A1",
        "bot_token": SECRETS["SLACK_BOT_TOKEN"],
        "signing_secret": SIGNING_SECRET,
        "app_token": "xapp-test",
        "bot_user": {"id": "UBOT", "name": "loopgate"},
        "request_url": "http://127.0.0.1:9/slack/events",
        "scopes": list(SCOPES),
    },
    "channels": [
        {"id": "C0SRE", "name": "sre", "members": ["UBOT"]},
        {"id": "C0FIN", "name": "finance", "members": ["UBOT"]},
        {"id": "C0OUT", "name": "elsewhere"},
    ],
    "usergroups": [{"id": "S00", "handle": "sre-oncall", "name": "SRE on call"}],
}


@dataclass
class Clinic:
    """A gateway to look at: its files, its workspace, its environment, and where it is reached."""

    home: Path
    sandbox: httpx2.AsyncClient
    url: str
    store: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=lambda: dict(ENVIRON))

    def configured(self, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
        """Write the configuration, changed by *change*."""

        def fit(data: dict[str, Any]) -> None:
            data["slack"] |= {"apiUrl": f"{str(self.sandbox.base_url).rstrip('/')}/api/", "publicUrl": self.url}
            data["people"].append({"id": "sam", "name": "Sam", "groups": ["sre", "finance"], "slack": "U0SAM"})
            change(data)

        a_file(self.home, fit)

    async def look(self, *names: str) -> list[Finding]:
        """Return what the checks *names* say, or all of them."""
        known = Settings(config=self.home / "loopgate.yaml", port=1, **self.settings)
        chosen = [each for each in EXAMINATION if each[0] in (names or dict(EXAMINATION))]
        async with open_patient(known, SystemClock(), self.environ, self.store, "no store") as patient:
            return await examine(patient, chosen, within_s=PATIENCE_S)

    async def told(self, name: str) -> Finding:
        """Return the one thing that the check *name* says."""
        [finding] = await self.look(name)
        return finding


@pytest.fixture
async def clinic(tmp_path: Path, redis_url: str) -> AsyncIterator[Clinic]:
    """A gateway with which all is well."""
    async with a_clinic(tmp_path, redis_url) as made:
        yield made


@asynccontextmanager
async def a_clinic(home: Path, store: str | None) -> AsyncIterator[Clinic]:
    """Yield a workspace and a request URL behind its guard."""
    guard = SlackGuard(
        Endpoint(_Challenged()),
        SlackInstallation("T1", "A1", SecretStr("xoxb-1"), SecretStr(SIGNING_SECRET)),
        seen=SeenInMemory(),
        clock=SystemClock(),
        path=PATH,
    )
    async with (
        served(create_app(SandboxConfig.model_validate(SLACK))) as slack_url,
        served(Starlette(routes=[Route(PATH, guard)])) as gateway_url,
        httpx2.AsyncClient(base_url=slack_url, trust_env=False, timeout=PATIENCE_S) as sandbox,
    ):
        made = Clinic(home, sandbox, gateway_url, store)
        made.configured()
        yield made


class _Challenged(Reception):
    """A reception without listeners: it is asked for the challenge only."""

    def __init__(self) -> None:
        self._installation = SlackInstallation("T1", "A1", SecretStr("xoxb-1"))


async def test_all_is_well_with_a_sound_gateway(clinic: Clinic) -> None:
    """Every check says ok, beside those of the processes that do not run here."""
    findings = await clinic.look()

    assert {each.check for each in findings} == set(dict(EXAMINATION))
    assert [each for each in findings if each.status != "ok" and each.check not in {"gateway", "worker"}] == []
    said = {each.check: each.says for each in findings}
    assert said["token"] == "workspace Acme (T1), app A1, bot user UBOT"
    assert said["user groups"] == "readable: @sre-oncall"
    assert said["deliveries"].endswith("answers what is signed, and refuses what is not")


async def test_processes_that_do_not_run_are_told(clinic: Clinic) -> None:
    """No worker is a failure; no gateway on this machine may be on purpose."""
    gateway, worker = await clinic.look("gateway", "worker")

    assert (gateway.status, worker.status) == ("warn", "fail")
    assert "start `loopgate serve`" in gateway.next_step
    assert worker.next_step == "start `loopgate work`"


CONFIGURED: list[tuple[str, Callable[[dict[str, Any]], object], str, str]] = [
    ("configuration", lambda d: d["slack"].pop("team"), "slack.team", "mend"),
    ("configuration", lambda d: d["slack"].update(publicUrl="http://gate.example.com"), "publicUrl", "mend"),
    ("loops", lambda d: d["integrations"].pop("deployer"), "'deployer'", "name it under integrations"),
    ("loops", lambda d: d["people"].clear(), "nobody could ever approve it", "under people"),
    ("token", lambda d: d["slack"].update(team="T2"), "workspace is T1, slack.team says T2", "set slack.team to T1"),
    ("token", lambda d: d["slack"].update(app="A2"), "app is A1, slack.app says A2", "set slack.app to A1"),
    ("token", lambda d: d["slack"].update(botUser="U2"), "bot user is UBOT", "set slack.botUser to UBOT"),
    ("user groups", lambda d: d.update(groups={"night": {"slackUserGroup": "S0NONE"}}), "'night' is S0NONE", "the id"),
    ("user groups", lambda d: d.update(groups={"night": {"slackUserGroup": "S00"}}), "nobody is in it", "may approve"),
    ("channels", lambda d: d["slack"]["channels"].update(out="C0OUT"), "not in #elsewhere", "/invite @Loopgate"),
    ("channels", lambda d: d["slack"]["channels"].update(out="C0NONE"), "sees no channel C0NONE", "check the id"),
]


@pytest.mark.parametrize(("check", "change", "says", "step"), CONFIGURED)
async def test_what_the_configuration_gets_wrong_is_told(
    clinic: Clinic, check: str, change: Callable[[dict[str, Any]], object], says: str, step: str
) -> None:
    """Each mistake fails its own check, with the next step."""
    clinic.configured(change)
    finding = (await clinic.look(check))[0]

    assert finding.status == "fail"
    assert says in finding.says
    assert step in finding.next_step


@pytest.mark.parametrize(
    ("check", "environ", "says", "step"),
    [
        ("secrets", {"DEPLOYER_SECRET": ""}, "DEPLOYER_SECRET is not set", "export DEPLOYER_SECRET"),
        ("secrets", {"SLACK_BOT_TOKEN": "xapp-1"}, "does not begin with xoxb-", "from Slack"),
        ("token", {"SLACK_BOT_TOKEN": "xoxb-other"}, "invalid_auth", "check the token"),
        ("user groups", {"SLACK_BOT_TOKEN": "xoxb-other"}, "invalid_auth", "check the token"),
        ("deliveries", {"SLACK_SIGNING_SECRET": "another"}, "refuses what the signing secret signed", "of this app"),
    ],
)
async def test_a_wrong_secret_is_told_by_its_name(
    clinic: Clinic, check: str, environ: dict[str, str], says: str, step: str
) -> None:
    """Missing, of another kind or somebody else's: the variable is named, and its value is not."""
    clinic.environ |= environ
    finding = await clinic.told(check)

    assert finding.status == "fail"
    assert says in finding.says
    assert step in finding.next_step
    assert not any(value and value in str(finding) for value in clinic.environ.values())


async def test_sources_with_one_secret_are_doubted(clinic: Clinic) -> None:
    """What is signed for one of them verifies at the other: both are named, and the secret is not."""

    def another(data: dict[str, Any]) -> None:
        source = {"preset": "github-workflow-run", "loop": "infrastructure.change"}
        data["sources"] = {name: source | {"secretEnv": f"{name.upper()}_SECRET"} for name in ("ci", "desk")}

    clinic.configured(another)
    clinic.environ |= dict.fromkeys(("CI_SECRET", "DESK_SECRET"), "one secret for both")
    finding = await clinic.told("secrets")

    assert finding.status == "warn"
    assert "ci and desk share a secret" in finding.says
    assert "give each its own" in finding.next_step
    assert clinic.environ["CI_SECRET"] not in str(finding)


async def test_a_missing_scope_says_what_it_is_for(clinic: Clinic) -> None:
    """Scopes are compared with the manifest's: one less fails with its purpose, one more is too much."""
    for scopes, status, says in (
        ([each for each in SCOPES if each != "usergroups:read"], "fail", "usergroups:read (who is in the user groups"),
        ([*SCOPES, "channels:manage"], "warn", "more than Loopgate uses: channels:manage"),
    ):
        slack = SLACK | {"app": SLACK["app"] | {"scopes": scopes}}  # type: ignore[operator]
        async with (
            served(create_app(SandboxConfig.model_validate(slack))) as url,
            httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as http,
        ):
            other = Clinic(clinic.home, http, clinic.url, clinic.store)
            other.configured()
            finding = await other.told("scopes")

        assert finding.status == status
        assert says in finding.says
        assert "reinstall" in finding.next_step


@pytest.mark.parametrize(("ahead_s", "status"), [(0, "ok"), (20, "warn"), (600, "fail")])
async def test_a_clock_that_is_off_is_told(clinic: Clinic, ahead_s: float, status: str) -> None:
    """Slack's Date is compared with this machine's clock; the store's agrees."""
    await clinic.sandbox.post("/sandbox/clock", json={"advance_s": ahead_s})
    slack, store = await clinic.look("clock")

    assert slack.status == status
    assert "Slack's" in slack.says
    assert store.status == "ok"


async def test_a_store_that_is_away_is_told_and_the_rest_looked_at(clinic: Clinic) -> None:
    """Without a store its checks fail or are skipped; no other check suffers."""
    clinic.store = "redis://:hunter2@127.0.0.1:1/0"
    findings = {each.check: each for each in await clinic.look()}

    assert findings["store"].status == "fail"
    assert "hunter2" not in str(findings)
    assert findings["worker"].status == "skipped"
    assert findings["token"].status == "ok"


async def test_slack_that_is_away_is_told(clinic: Clinic) -> None:
    """Slack down: what asks it fails with that, what depends on the answer is skipped, and it takes no longer."""
    await clinic.sandbox.post("/sandbox/faults", json={"method": "*", "kind": "5xx", "count": 50})
    findings = {each.check: each for each in await clinic.look("token", "scopes", "channels", "user groups")}

    assert {name: each.status for name, each in findings.items()} == {
        "token": "fail",
        "scopes": "skipped",
        "channels": "fail",
        "user groups": "fail",
    }


async def _anything(_: Request) -> Response:
    return PlainTextResponse("welcome")


async def _believes(request: Request) -> Response:
    return JSONResponse({"challenge": (await request.json())["challenge"]})


@pytest.mark.parametrize(
    ("answer", "says", "step"),
    [
        (None, "does not answer", "start `loopgate serve`"),
        (_anything, "answers 200, which is no gateway", "path and body unchanged"),
        (_believes, "to what nobody signed", "take it away"),
    ],
)
async def test_a_request_url_that_leads_elsewhere_is_told(
    clinic: Clinic, answer: Callable[[Request], Any] | None, says: str, step: str
) -> None:
    """Nothing there, something else, or something that believes everybody: none of them is the gateway."""
    if answer is None:
        clinic.url = "http://127.0.0.1:1"
        clinic.configured()
        finding = await clinic.told("deliveries")
    else:
        async with served(Starlette(routes=[Route(PATH, answer, methods=["POST"])])) as clinic.url:
            clinic.configured()
            finding = await clinic.told("deliveries")

    assert finding.status == "fail"
    assert says in finding.says
    assert step in finding.next_step


async def test_an_address_nobody_named_is_doubtful(clinic: Clinic) -> None:
    """Without slack.publicUrl nobody can tell whether Slack gets in."""
    clinic.configured(lambda d: d["slack"].pop("publicUrl"))
    finding = await clinic.told("deliveries")

    assert finding.status == "warn"
    assert "set slack.publicUrl" in finding.next_step


async def test_socket_mode_is_looked_at_without_taking_a_delivery(clinic: Clinic) -> None:
    """Slack gives an address for the app-level token, which stays unused; a bot token in its place is told."""
    clinic.settings["slack_mode"] = "socket"
    del clinic.environ["SLACK_SIGNING_SECRET"]
    secrets, deliveries = await clinic.look("secrets", "deliveries")
    opened = (await clinic.sandbox.get("/sandbox/sockets")).json()["opened"]
    clinic.environ["SLACK_APP_TOKEN"] = ENVIRON["SLACK_BOT_TOKEN"]
    wrong = await clinic.told("deliveries")

    assert (secrets.status, deliveries.status, opened) == ("ok", "ok", 0)
    assert "SLACK_APP_TOKEN" in secrets.says
    assert wrong.status == "fail"
    assert "connections:write" in wrong.next_step


async def test_people_whose_proposals_nobody_can_approve_are_told(clinic: Clinic) -> None:
    """With one approver left for a gate, what that one asks for could never be approved."""
    clinic.configured(lambda d: d["people"].pop())
    finding = (await clinic.look("approvers"))[0]

    assert finding.status == "warn"
    assert "nobody could approve a proposal of" in finding.says


async def test_a_check_that_breaks_or_hangs_is_a_finding_and_the_others_run(clinic: Clinic) -> None:
    """No traceback and no endless wait: each is told, and what it held stays out."""

    async def breaks(_: Patient) -> Sequence[Finding]:
        raise RuntimeError("xoxb-secret")

    async def hangs(_: Patient) -> Sequence[Finding]:
        await asyncio.Event().wait()
        return []

    async def works(_: Patient) -> Sequence[Finding]:
        return [well("works", "yes")]

    async with open_patient(Settings(), SystemClock(), {}, None, "") as patient:
        checks = [("breaks", breaks), ("hangs", hangs), ("works", works)]
        broke, hung, worked = await examine(patient, checks, within_s=0.5)

    assert (broke.status, hung.status, worked.status) == ("fail", "fail", "ok")
    assert "xoxb-secret" not in str(broke)
    assert "no answer within" in hung.says


def test_the_command_tells_people_and_programs_and_exits_with_1(tmp_path: Path) -> None:
    """A table with next steps, the same as JSON, exit code 1 on a failure, and not one secret."""
    a_file(tmp_path)
    secrets = {"SLACK_BOT_TOKEN": "xoxb-hush1", "SLACK_SIGNING_SECRET": "hush2", "DEPLOYER_SECRET": "whsec_hush3"}
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("LOOPGATE_", "SLACK_"))} | {
        **secrets,
        "LOOPGATE_CONFIG": str(tmp_path / "loopgate.yaml"),
        "LOOPGATE_REDIS_URL": "redis://:hush4@127.0.0.1:1/0",
    }

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "gateway.cli", "doctor", *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)

    with refusing() as port, ThreadPoolExecutor(2) as pool:
        environ["LOOPGATE_PORT"] = str(port)
        table, told = pool.map(lambda arguments: run(*arguments), ([], ["--json"]))
    findings = json.loads(told.stdout)

    assert (table.returncode, told.returncode) == (1, 1)
    assert findings["ok"] is False
    assert {each["check"] for each in findings["findings"]} == set(dict(EXAMINATION))
    assert "→ start `loopgate serve`" in table.stdout
    assert not any(word in table.stdout + table.stderr + told.stdout + told.stderr for word in ("hush", "Traceback"))
