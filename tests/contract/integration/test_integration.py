"""What every `gateway.integrations.ports.Integration` promises, run over each of them."""

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx2
import pytest
from contract.integration.receiver import BOMB, SECRET, TOKEN, Receiver, receiving
from patience import PATIENCE_S
from ports import refusing
from pydantic import SecretStr

from gateway.integrations.exchange import KEPT_BYTES
from gateway.integrations.http import HttpIntegration
from gateway.integrations.ports import Integration, Run
from gateway.integrations.recording import MemoryIntegration
from gateway.integrations.webhook import WebhookIntegration
from loops.canonical import canonical_json
from loops.effects import Grant
from loops.errors import Rejected, Unavailable
from loops.evidence import accept

CREATED = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def a_run(**changes: Any) -> Run:
    run = Run(
        effect_id="ef_1",
        integration="deployer",
        action="rollout",
        aggregate_id="CHG-1",
        loop_id="infrastructure.change",
        parameters={"service": "checkout", "replicas": 8},
        grant=Grant(request_id="ar_1", request_version=1, digest="sha256:ab"),
        created_at=CREATED,
    )
    return replace(run, **changes)


class Subject(Protocol):
    """An integration, what took place on its other side, and ways to make that side fail."""

    integration: Integration

    def performed(self) -> set[str]: ...
    def be_unavailable(self) -> None: ...
    def refuse(self) -> None: ...
    def recover(self) -> None: ...


@dataclass
class Memory:
    integration: MemoryIntegration

    def performed(self) -> set[str]:
        return set(self.integration.performed)

    def be_unavailable(self) -> None:
        self.integration.fail_next([Unavailable("away", retry_after=9)])

    def refuse(self) -> None:
        self.integration.fail_next([Rejected("no")])

    def recover(self) -> None: ...


@dataclass
class Hook:
    integration: WebhookIntegration | HttpIntegration
    receiver: Receiver

    def performed(self) -> set[str]:
        return set(self.receiver.performed)

    def be_unavailable(self) -> None:
        self.receiver.status, self.receiver.headers = 503, {"retry-after": "9"}

    def refuse(self) -> None:
        self.receiver.status = 422

    def recover(self) -> None:
        self.receiver.status, self.receiver.headers = 200, {}


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    with receiving(Receiver()) as running:
        yield running


@pytest.fixture
def receiver(server: Receiver) -> Iterator[Receiver]:
    server.reset()
    yield server
    server.release.set()


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    # A careless client on purpose: the integration must not follow its defaults.
    async with httpx2.AsyncClient(follow_redirects=True, trust_env=False) as made:
        yield made


@pytest.fixture
def hook(receiver: Receiver, client: httpx2.AsyncClient) -> WebhookIntegration:
    return WebhookIntegration(receiver.url, SECRET, client, timeout_s=PATIENCE_S)


@pytest.fixture
def api(receiver: Receiver, client: httpx2.AsyncClient) -> HttpIntegration:
    url = receiver.url.replace("/hooks", "/api/deployments")
    return HttpIntegration(url, client, token=SecretStr(TOKEN), timeout_s=PATIENCE_S)


@pytest.fixture(params=["memory", "webhook", "http"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "memory":
        return Memory(MemoryIntegration())
    made = request.getfixturevalue("hook" if request.param == "webhook" else "api")
    return Hook(made, request.getfixturevalue("receiver"))


async def test_run_takes_place_and_is_told(subject: Subject) -> None:
    """A run acts outside, and what it returns fits a ledger."""
    detail = await subject.integration.run(a_run())

    assert subject.performed() == {"ef_1"}
    assert accept(detail) == detail
    assert subject.integration.kind


async def test_effect_performed_twice_is_seen_once_outside(subject: Subject) -> None:
    """A repeated effect, in turn or at once, takes place once and is told the same."""
    first = await subject.integration.run(a_run())
    again = await asyncio.gather(*(subject.integration.run(a_run()) for _ in range(8)))

    assert subject.performed() == {"ef_1"}
    assert all(one == first for one in again)


async def test_other_effects_take_place_beside_it(subject: Subject) -> None:
    """The effect id, not the action, says what is the same."""
    for effect_id in ("ef_1", "ef_2"):
        await subject.integration.run(a_run(effect_id=effect_id))

    assert subject.performed() == {"ef_1", "ef_2"}


async def test_passing_trouble_is_unavailable_and_a_later_run_acts(subject: Subject) -> None:
    """`Unavailable` says when to come back; nothing took place, and the next attempt does it."""
    subject.be_unavailable()
    with pytest.raises(Unavailable) as caught:
        await subject.integration.run(a_run())
    assert caught.value.retry_after == 9
    assert subject.performed() == set()

    subject.recover()
    await subject.integration.run(a_run())
    assert subject.performed() == {"ef_1"}


async def test_refusal_is_rejected(subject: Subject) -> None:
    """A refusal for good is told apart by type, and nothing took place."""
    subject.refuse()

    with pytest.raises(Rejected):
        await subject.integration.run(a_run())
    assert subject.performed() == set()


async def test_parameters_without_canonical_form_are_rejected(subject: Subject) -> None:
    """What cannot be signed the same everywhere is not sent."""
    with pytest.raises(Rejected, match="cannot be sent"):
        await subject.integration.run(a_run(parameters={"n": math.nan}))
    assert subject.performed() == set()


async def test_run_without_an_approval_says_none(subject: Subject) -> None:
    """A run nobody had to approve works, too."""
    await subject.integration.run(a_run(grant=None))

    assert subject.performed() == {"ef_1"}


async def test_webhook_is_signed_canonical_and_complete(hook: WebhookIntegration, receiver: Receiver) -> None:
    """The receiver can verify who asks, sees the effect id as webhook-id, and what was approved."""
    detail = await hook.run(a_run())
    (request,) = receiver.received
    expected = {
        "type": "deployer.rollout",
        "timestamp": "2026-11-22T10:00:00Z",
        "data": {
            "effectId": "ef_1",
            "integration": "deployer",
            "action": "rollout",
            "aggregateId": "CHG-1",
            "loopId": "infrastructure.change",
            "parameters": {"service": "checkout", "replicas": 8},
            "approval": {"requestId": "ar_1", "requestVersion": 1, "digest": "sha256:ab"},
        },
    }
    answer = b'{"performed":"deployer.rollout"}'

    assert request["body"] == canonical_json(expected)
    assert request["headers"]["webhook-id"] == "ef_1"
    assert detail == {
        "status": 200,
        "bodyBytes": len(answer),
        "bodyDigest": f"sha256:{hashlib.sha256(answer).hexdigest()}",
        "bodyComplete": True,
        "body": {"performed": "deployer.rollout"},
    }


async def test_every_attempt_sends_the_same_body(hook: WebhookIntegration, receiver: Receiver) -> None:
    """A retry differs in its time-stamp header only, so a receiver may compare."""
    receiver.status = 503
    for _ in range(2):
        with pytest.raises(Unavailable):
            await hook.run(a_run())

    assert len({request["body"] for request in receiver.received}) == 1


async def test_one_run_is_one_attempt(hook: WebhookIntegration, receiver: Receiver) -> None:
    """Retries with back-off belong to the jobs."""
    receiver.status = 503
    with pytest.raises(Unavailable):
        await hook.run(a_run())

    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_statuses_that_ask_to_come_back_are_unavailable(
    hook: WebhookIntegration, receiver: Receiver, status: int
) -> None:
    """Time-outs, too many requests and every 5xx may work later."""
    receiver.status = status

    with pytest.raises(Unavailable, match=f"deployer.rollout: 127.0.0.1 answered {status}") as caught:
        await hook.run(a_run())
    assert caught.value.retry_after is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
async def test_other_refusals_are_rejected_with_their_reason(
    hook: WebhookIntegration, receiver: Receiver, status: int
) -> None:
    """The receiver's own words reach the ledger, short and printable."""
    receiver.status, receiver.body = status, b"no such\x1b[31m service\n" + b"x" * 10_000

    with pytest.raises(Rejected, match=rf"answered {status}: no such \[31m service") as caught:
        await hook.run(a_run())
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(hook: WebhookIntegration, receiver: Receiver, status: int) -> None:
    """A redirect would carry a signed order to an address nobody configured."""
    receiver.status, receiver.headers = status, {"location": receiver.url.replace("/hooks", "/elsewhere")}

    with pytest.raises(Rejected, match="redirects are not followed"):
        await hook.run(a_run())
    assert not receiver.redirect_target_hit


async def test_http_date_is_understood(hook: WebhookIntegration, receiver: Receiver) -> None:
    """Retry-After may be a date; one that has passed means now."""
    receiver.status, receiver.headers = 429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}

    with pytest.raises(Unavailable) as caught:
        await hook.run(a_run())
    assert caught.value.retry_after == 0


async def test_endless_answer_is_read_to_the_limit_only(hook: WebhookIntegration, receiver: Receiver) -> None:
    """64 kB are kept and their digest stated, however much comes."""
    receiver.fault = "endless"
    detail = await hook.run(a_run())

    assert detail["bodyBytes"] == KEPT_BYTES
    assert detail["bodyDigest"] == f"sha256:{hashlib.sha256(b'x' * KEPT_BYTES).hexdigest()}"
    assert detail["bodyComplete"] is False


async def test_compressed_bomb_is_not_unpacked(hook: WebhookIntegration, receiver: Receiver) -> None:
    """An answer that unpacks to megabytes stays packed."""
    receiver.fault = "bomb"
    detail = await hook.run(a_run())

    assert detail["bodyDigest"] == f"sha256:{hashlib.sha256(BOMB).hexdigest()}"
    assert detail["bodyBytes"] == len(BOMB)
    assert "body" not in detail


@pytest.mark.parametrize(
    "body",
    [
        b"done",
        b"",
        b"\xff\xfe",
        b'{"n": NaN}',
        b'{"n": 1e999}',
        b'{"n": 9007199254740993}',
        b"[" * 60_000,
        b"[" * 40 + b"]" * 40,
        b'{"t": "\\ud800"}',
    ],
)
async def test_answer_the_ledger_cannot_hold_is_still_a_success(
    hook: WebhookIntegration, receiver: Receiver, body: bytes
) -> None:
    """2xx is success; a body that is no canonical JSON is on record by its digest."""
    receiver.status, receiver.body = 202, body
    detail = await hook.run(a_run())

    assert detail["status"] == 202
    assert "body" not in detail
    assert detail["bodyDigest"] == f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert accept(detail) == detail


@pytest.mark.parametrize("fault", ["slow", "trickle"])
async def test_silence_is_unavailable(receiver: Receiver, client: httpx2.AsyncClient, fault: str) -> None:
    """A receiver that hangs, before or in the middle of its answer, does not hold the worker."""
    receiver.fault = fault
    hook = WebhookIntegration(receiver.url, SECRET, client, timeout_s=0.3)

    with pytest.raises(Unavailable, match="did not answer"):
        await hook.run(a_run())


async def test_dropped_connection_is_unavailable(hook: WebhookIntegration, receiver: Receiver) -> None:
    """Whether it took place is unknown, so it is tried again under the same id."""
    receiver.fault = "dropped"

    with pytest.raises(Unavailable, match="cannot be reached"):
        await hook.run(a_run())


async def test_nobody_listening_is_unavailable(client: httpx2.AsyncClient) -> None:
    """A receiver that is down may come back."""
    with refusing() as port:
        hook = WebhookIntegration(f"http://127.0.0.1:{port}/hooks", SECRET, client)

        with pytest.raises(Unavailable, match="cannot be reached"):
            await hook.run(a_run())


async def test_wrong_secret_is_refused_by_the_receiver(receiver: Receiver, client: httpx2.AsyncClient) -> None:
    """A signature by another key is a 401 there and `Rejected` here, and nothing takes place."""
    other = "whsec_" + "A" * 32
    with pytest.raises(Rejected, match="answered 401"):
        await WebhookIntegration(receiver.url, other, client).run(a_run())

    assert receiver.performed == {}


async def test_body_is_json_to_anybody(hook: WebhookIntegration, receiver: Receiver) -> None:
    """Text beyond ASCII arrives as it was."""
    await hook.run(a_run(parameters={"note": "größer — 拡大 🚀"}))

    assert json.loads(receiver.received[0]["body"])["data"]["parameters"]["note"] == "größer — 拡大 🚀"
