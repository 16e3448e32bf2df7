"""What every `loops.guards.PolicyPoint` promises, run over each of them, and what only HTTP can do wrong."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Protocol

import httpx2
import pytest
from builders import an_instance
from contract.guards.decision_server import DecisionServer, deciding
from patience import PATIENCE_S
from ports import refusing
from pydantic import SecretStr, ValidationError

from gateway.guards.config import PolicyPointConfig
from gateway.guards.memory import MemoryPolicyPoint
from gateway.guards.policy_point import ANSWER_MAX, MESSAGE_MAX, HttpPolicyPoint
from loops.actors import human
from loops.definition import GuardRule
from loops.errors import Rejected, Unavailable
from loops.guards import GuardContext, PolicyAnswer, PolicyPoint
from loops.judging import Judge

QUESTION = {"guard": "budget", "data": {"amount": 12}, "evidence": {}}
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Subject(Protocol):
    """A policy point, what it was asked, and ways to make it answer."""

    point: PolicyPoint

    def asked(self) -> list[Any]: ...
    def decide(self, allow: bool, code: str | None = None, message: str | None = None) -> None: ...
    def be_unavailable(self) -> None: ...
    def be_senseless(self) -> None: ...


class Memory:
    """The point in memory."""

    def __init__(self) -> None:
        self._answer = PolicyAnswer(allow=False)
        self.memory = MemoryPolicyPoint(lambda _: self._answer)
        self.point: PolicyPoint = self.memory

    def asked(self) -> list[Any]:
        return list(self.memory.asked)

    def decide(self, allow: bool, code: str | None = None, message: str | None = None) -> None:
        self._answer = PolicyAnswer(allow, code, message)

    def be_unavailable(self) -> None:
        self.memory.fail_next(Unavailable("away"))

    def be_senseless(self) -> None:
        self.memory.fail_next(Rejected("that is no decision"))


@dataclass
class Http:
    """The point over HTTP."""

    point: PolicyPoint
    server: DecisionServer

    def asked(self) -> list[Any]:
        return [body["input"] for _, _, body in self.server.requests]

    def decide(self, allow: bool, code: str | None = None, message: str | None = None) -> None:
        said = {name: value for name, value in (("code", code), ("message", message)) if value}
        self.server.says({"result": {"allow": allow, **said} if said else allow})

    def be_unavailable(self) -> None:
        self.server.says({"code": "internal_error"}, status="500 Internal Server Error")

    def be_senseless(self) -> None:
        self.server.says(b"<html>")


@pytest.fixture
async def server() -> AsyncIterator[DecisionServer]:
    async with deciding() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    # A careless client on purpose: the point must not follow its defaults.
    async with httpx2.AsyncClient(follow_redirects=True, trust_env=False) as made:
        yield made


@pytest.fixture
def http(server: DecisionServer, client: httpx2.AsyncClient) -> HttpPolicyPoint:
    return HttpPolicyPoint(server.url, client, timeout_s=PATIENCE_S)


@pytest.fixture(params=["memory", "http"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "memory":
        return Memory()
    return Http(request.getfixturevalue("http"), request.getfixturevalue("server"))


@pytest.mark.parametrize("allow", [True, False])
async def test_a_decision_is_told_as_it_was_made(subject: Subject, allow: bool) -> None:
    """Allow is allow, deny is deny, and the point was asked what we asked."""
    subject.decide(allow)

    answer = await subject.point.ask(QUESTION)

    assert answer.allow is allow
    assert subject.asked() == [QUESTION]


async def test_a_denial_may_say_why(subject: Subject) -> None:
    """A code and a sentence come through."""
    subject.decide(False, "over_budget", "The budget is spent.")

    answer = await subject.point.ask(QUESTION)

    assert (answer.allow, answer.code, answer.message) == (False, "over_budget", "The budget is spent.")


async def test_a_failure_is_told_from_a_refusal(subject: Subject) -> None:
    """Away is Unavailable, senseless is Rejected; the next question is a new one."""
    subject.be_unavailable()
    with pytest.raises(Unavailable):
        await subject.point.ask(QUESTION)
    subject.be_senseless()
    with pytest.raises(Rejected):
        await subject.point.ask(QUESTION)
    subject.decide(True)

    assert (await subject.point.ask(QUESTION)).allow


@pytest.mark.parametrize("severity", ["hard", "soft"])
async def test_a_guard_that_asks_it_fails_closed(subject: Subject, severity: Any) -> None:
    """Whatever goes wrong with the point, its guard has objected: hard blocks, soft warns."""
    context = GuardContext(actor=human("dana", via="slack"), evidence={}, instance=an_instance(), now=NOW)
    rule = GuardRule(id="budget", evaluated_by="external", severity=severity)
    judge = Judge(points={"budget": subject.point})

    for fail in (subject.be_unavailable, subject.be_senseless):
        fail()
        (verdict,) = await judge.judge([rule], context)
        assert (verdict.passed, verdict.code, verdict.severity) == (False, "guard_unavailable", severity)
    subject.decide(True)
    (verdict,) = await judge.judge([rule], context)
    assert verdict.passed


async def test_a_question_is_posted_the_way_opa_takes_it(server: DecisionServer, client: httpx2.AsyncClient) -> None:
    """One POST of `{"input": ...}` as JSON, with the bearer token; the decision's id and the latency are kept."""
    server.says({"result": True, "decision_id": "4ca636c1-55e4-417a-b1d8-4aceb67960d1"})
    ticks = count(0, 1_500_000)
    point = HttpPolicyPoint(
        server.url, client, token=SecretStr("s3cret"), timeout_s=PATIENCE_S, timer_ns=lambda: next(ticks)
    )

    answer = await point.ask(QUESTION)

    ((line, headers, body),) = server.requests
    assert line == "POST /v1/data/changes/allow HTTP/1.1"
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["accept-encoding"] == "identity"
    assert body == {"input": QUESTION}
    assert answer == PolicyAnswer(allow=True, decision_id="4ca636c1-55e4-417a-b1d8-4aceb67960d1", latency_us=1_500)


@pytest.mark.parametrize(
    "body", [{}, {"result": None}, {"decision_id": "d"}, {"warning": {"code": "api_usage_warning"}}]
)
async def test_an_undefined_policy_denies(http: HttpPolicyPoint, server: DecisionServer, body: Any) -> None:
    """OPA answers without a result where no rule speaks: that is no permission."""
    server.says(body)

    answer = await http.ask(QUESTION)

    assert (answer.allow, answer.code) == (False, "policy_undefined")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"true",
        b"[]",
        b"nonsense",
        b"\xff\xfe",
        b'{"result": NaN}',
        b'{"result": 1}',
        b'{"result": "true"}',
        b'{"result": [true]}',
        b'{"result": {}}',
        b'{"result": {"allow": "yes"}}',
        b'{"result": {"allow": 1}}',
        b'{"result": {"allowed": true}}',
        b'{"result": false, "result": true}',
        b'{"result": {"allow": false, "allow": true}}',
        b'{"result": ' + b"[" * 10_000,
        b'{"result": true, "filler": "' + b"x" * ANSWER_MAX + b'"}',
    ],
)
async def test_only_a_decision_is_a_decision(http: HttpPolicyPoint, server: DecisionServer, body: bytes) -> None:
    """Anything but true, false or an object with a boolean `allow`, in one short JSON text, is refused."""
    server.says(body)

    with pytest.raises(Rejected):
        await http.ask(QUESTION)


@pytest.mark.parametrize(
    "status", ["204 No Content", "301 Moved", "307 Temporary Redirect", "401 Unauthorized", "500 X"]
)
async def test_no_other_status_is_an_answer(http: HttpPolicyPoint, server: DecisionServer, status: str) -> None:
    """Even a body that allows counts only under 200, and a redirect takes the question nowhere else."""
    body = b"" if status.startswith("204") else {"result": True}
    server.says(body, status=status, headers=f"location: {server.url}\r\n")

    with pytest.raises(Unavailable):
        await http.ask(QUESTION)
    assert len(server.requests) == 1


async def test_a_slow_point_is_given_up(server: DecisionServer, client: httpx2.AsyncClient) -> None:
    """After its time-out the question is over."""
    server.answer = None

    with pytest.raises(Unavailable, match=r"did not answer within 0\.05 s"):
        await HttpPolicyPoint(server.url, client, timeout_s=0.05).ask(QUESTION)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", b"not HTTP at all\r\n\r\n"])
async def test_a_dropped_connection_is_no_answer(http: HttpPolicyPoint, server: DecisionServer, answer: bytes) -> None:
    """Half an answer, or none, is Unavailable."""
    server.answer = answer

    with pytest.raises(Unavailable):
        await http.ask(QUESTION)


async def test_a_point_that_is_not_there_is_unavailable(client: httpx2.AsyncClient) -> None:
    """Nobody listening is Unavailable too."""
    with refusing() as port, pytest.raises(Unavailable):
        await HttpPolicyPoint(f"http://127.0.0.1:{port}/", client).ask(QUESTION)


async def test_what_a_policy_says_is_one_short_line(http: HttpPolicyPoint, server: DecisionServer) -> None:
    """Its message is bounded and printable, and a code that is none of ours in form is left out."""
    said = {"allow": False, "code": "Über budget!\n", "message": "a\u202e\n" + "b" * 10_000}
    server.says({"result": said, "decision_id": ["x"]})

    answer = await http.ask(QUESTION)

    assert answer.message == ("a  " + "b" * MESSAGE_MAX)[:MESSAGE_MAX]
    assert (answer.code, answer.decision_id) == (None, None)


async def test_what_has_no_json_form_is_not_asked(http: HttpPolicyPoint, server: DecisionServer) -> None:
    """A question that cannot be written, or is too long, never leaves."""
    for question in ({"n": float("nan")}, {"text": "x" * 3_000_000}):
        with pytest.raises(Rejected):
            await http.ask(question)

    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://opa.example/v1/data/x",
        "https://user:pass@opa.example/",
        "https://opa.example/#x",
        "ftp://127.0.0.1/",
        "https://",
        "https://opa.example:0/",
        "https://opa.example:99999/",
        "opa.example",
        "",
        "https://opa example/",
        "http://127.0.0.1.example/",
    ],
)
def test_a_url_that_could_leak_is_refused(url: str) -> None:
    """Only https, or http on this machine, and no password in the file."""
    with pytest.raises(ValidationError):
        PolicyPointConfig(url=url)


def test_a_policy_point_in_the_configuration() -> None:
    """A second for an answer, unless the file says otherwise; the token is the name of a variable."""
    config = PolicyPointConfig.model_validate({"url": "https://opa.example/v1/data/x", "tokenEnv": "OPA_TOKEN"})

    assert (config.timeout_s, config.token_env) == (1.0, "OPA_TOKEN")
