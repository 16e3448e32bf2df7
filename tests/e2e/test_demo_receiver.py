"""The receiver that plays the deployer: what it counts is what the demo shows, so it must not count wrong."""

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from gateway.demo.receiver import Receiver, deployer_says

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()

DATA = {"action": "rollout", "aggregateId": "CHG-1", "parameters": {"service": "checkout"}}


def a_receiver(changes: list[int] | None = None) -> Receiver:
    seen = changes if changes is not None else []
    return Receiver("deployer", SecretStr(SECRET), deployer_says, work_s=0.01, changed=lambda: seen.append(1))


def a_delivery(
    data: Any = DATA, *, webhook_id: str = "ef_1", secret: str = SECRET, at: datetime | None = None
) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"type": "deployer.rollout", "data": data})
    sent_at = at or datetime.now(UTC)
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, sent_at, body),
    }
    return headers, body.encode()


async def test_repeated_delivery_is_performed_once_and_counted() -> None:
    """The same webhook-id again gets the first answer; the action takes place once and the repeat is counted."""
    receiver = a_receiver()
    first = await receiver.receive(*a_delivery())
    second = await receiver.receive(*a_delivery())

    assert first == second
    assert first[0] == 200
    (call,) = receiver.calls.values()
    assert (call.performed, call.as_json()["repeats"]) == (1, 1)


async def test_simultaneous_deliveries_are_performed_once() -> None:
    """Deliveries of one id that overlap share one performance and one answer."""
    receiver = a_receiver()
    answers = await asyncio.gather(*(receiver.receive(*a_delivery()) for _ in range(8)))

    assert all(answer == answers[0] for answer in answers)
    assert [call.performed for call in receiver.calls.values()] == [1]


async def test_caller_that_hangs_up_does_not_undo_or_repeat_the_work() -> None:
    """A delivery whose caller goes away is carried out, and the next one is answered with its result."""
    receiver = a_receiver()
    gone = asyncio.create_task(receiver.receive(*a_delivery()))
    await asyncio.sleep(0)
    gone.cancel()
    status, answer = await receiver.receive(*a_delivery())

    assert (status, answer["done"]) == (200, "rollout of checkout with null")
    assert [call.performed for call in receiver.calls.values()] == [1]


@pytest.mark.parametrize(
    "twisted",
    [
        lambda *_: a_delivery(secret=OTHER),
        lambda *_: ({}, b"{}"),
        lambda headers, body: (headers | {"webhook-signature": "v1"}, body),
        lambda headers, body: (headers | {"webhook-signature": "v1,not base64!"}, body),
        lambda headers, body: (headers | {"webhook-timestamp": "soon"}, body),
        lambda headers, _: (headers, b'{"type": "deployer.rollout", "data": {}}'),
        lambda headers, _: (headers, b"\xff"),
    ],
    ids=["other-secret", "no-headers", "no-signature", "bad-base64", "bad-time", "other-body", "not-utf-8"],
)
async def test_unsigned_deliveries_do_nothing(
    twisted: Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]],
) -> None:
    """Whatever is wrong with a signature, the answer is 401 and nothing is remembered."""
    # Made here and not as the test is collected, minutes before: what is too old is refused for that.
    receiver = a_receiver()
    status, answer = await receiver.receive(*twisted(*a_delivery()))

    assert (status, list(answer)) == (401, ["error"])
    assert receiver.calls == {}


async def test_old_delivery_does_nothing() -> None:
    """A signature older than the five minutes of Standard Webhooks is refused."""
    receiver = a_receiver()
    status, _ = await receiver.receive(*a_delivery(at=datetime.now(UTC) - timedelta(minutes=6)))

    assert status == 401
    assert receiver.calls == {}


async def test_id_used_for_another_body_is_a_conflict() -> None:
    """A webhook-id names one action: another body under it is refused, and the first stays what it was."""
    receiver = a_receiver()
    await receiver.receive(*a_delivery())
    status, _ = await receiver.receive(*a_delivery({**DATA, "action": "rollback"}))

    assert status == 409
    assert [(call.action, call.performed) for call in receiver.calls.values()] == [("rollout", 1)]


@pytest.mark.parametrize("data", [None, [], {}, {**DATA, "action": 1}, {**DATA, "parameters": "x"}])
async def test_signed_nonsense_is_refused(data: Any) -> None:
    """A correct signature does not make an action out of something else."""
    receiver = a_receiver()
    status, _ = await receiver.receive(*a_delivery(data))

    assert status == 422
    assert receiver.calls == {}


async def test_every_change_is_announced() -> None:
    """The page hears of a call when it comes, when it is done, and of each repeat."""
    changes: list[int] = []
    receiver = a_receiver(changes)
    await receiver.receive(*a_delivery())
    await receiver.receive(*a_delivery())

    assert len(changes) == 3
