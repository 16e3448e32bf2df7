"""What is said to the gateway and when: retries, waiting, last words."""

import json
from typing import Any

import pytest
from unit.client.rig import play

from gateway.client import Refused, TimedOut, Unavailable
from gateway.client.asking import POLL_S, Asking
from gateway.client.dialogue import Heard, NoReply, Patience, Pause, Reply, Send
from loops.errors import Rejected

VIEW: dict[str, Any] = {
    "approvalId": "ar_1",
    "version": 1,
    "status": "open",
    "title": "Delete it",
    "loopId": "adhoc.approval",
    "aggregateId": "ask_1",
    "instanceId": "li_1",
    "state": "PENDING_HUMAN_APPROVAL",
    "digest": "sha256:0",
    "parameters": {},
    "parametersDigest": "sha256:0",
    "waitingFor": "1 of sre",
    "createdAt": "2026-11-22T10:00:00Z",
}
AWAY, LOST = Reply(503, {"retry-after": "2"}, b"busy"), NoReply("cut off")


class Clock:
    """Time that passes where a test says so."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def answer(**said: Any) -> Reply:
    return Reply(200, {}, json.dumps(VIEW | said).encode())


def refused(status: int, code: str = "bad_request", **headers: str) -> Reply:
    body = {"error": "no", "code": code, "fields": {"title": "is missing"}}
    return Reply(status, headers, json.dumps(body).encode())


def asking(clock: Clock | None = None, patience_s: float = 60) -> Asking:
    return Asking(Patience(patience_s, clock or Clock()))


@pytest.mark.parametrize("first", [AWAY, LOST, Reply(502, {}, b"<html>"), Reply(504, {}, b""), refused(429)])
def test_what_may_pass_is_sent_again_under_the_same_key(first: Heard) -> None:
    """Away, over the limits or cut off: after a pause the very same request goes out, and counts once."""
    steps, made = play(asking().request("Delete it", {"a": 1}), first, None, answer())
    sent, pause, again = steps

    assert isinstance(sent, Send)
    assert isinstance(pause, Pause)
    assert again == sent
    assert len(sent.headers["idempotency-key"]) == 32
    assert made.approval_id == "ar_1"  # type: ignore[union-attr]


def test_every_logical_call_has_a_key_of_its_own() -> None:
    """Two asks are two requests, however equal they are."""
    ask = asking()
    [one], _ = play(ask.request("Delete it"))
    [other], _ = play(ask.request("Delete it"))

    assert one.headers["idempotency-key"] != other.headers["idempotency-key"]  # type: ignore[union-attr]


def test_pauses_are_as_long_as_the_gateway_says_and_double_where_it_is_silent() -> None:
    """Retry-After is the least; without one pauses grow, up to a bound, and are never equal for all."""
    named, _ = play(asking().get("ar_1"), AWAY, None)
    silent, _ = play(asking(patience_s=1e9).get("ar_1"), *[LOST, None] * 12)
    pauses = [step.seconds for step in silent if isinstance(step, Pause)]

    assert 2 <= named[1].seconds <= 2.3  # type: ignore[union-attr]
    assert all(0 < pause <= min(0.25 * 2**number, 10) for number, pause in enumerate(pauses))
    assert len({*pauses}) == len(pauses) == 12


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422])
def test_refusals_are_told_at_once_with_code_and_fields(status: int) -> None:
    """What is refused would be refused again: nothing is repeated."""
    steps, ended = play(asking().request("Delete it"), refused(status, "unmanned"))

    assert len(steps) == 1
    assert isinstance(ended, Refused)
    assert (ended.status, ended.code, ended.fields) == (status, "unmanned", {"title": "is missing"})
    assert "title: is missing" in str(ended)


def test_patience_ends_and_counts_from_the_first_failure() -> None:
    """A gateway that stays away is reported, with when to come back; a long wait before it counts for nothing."""
    clock = Clock()
    dialogue = asking(clock, patience_s=10).wait("ar_1")
    next(dialogue)
    clock.at = 50.0
    dialogue.send(LOST)
    clock.at = 59.0
    dialogue.send(None)
    with pytest.raises(Unavailable) as told:
        dialogue.send(AWAY)

    assert "answered 503" in str(told.value)
    assert told.value.retry_after is not None
    assert told.value.retry_after >= 2


@pytest.mark.parametrize(
    "reply",
    [Reply(200, {}, b"<html>"), Reply(200, {}, b"[]"), Reply(200, {}, b'{"status":"approved"}'), Reply(404, {}, b"")],
)
def test_what_is_no_answer_of_ours_is_named(reply: Reply) -> None:
    """A proxy's page, or another service at the address, is never taken for an approval."""
    _, ended = play(asking().get("ar_1"), reply)

    assert isinstance(ended, Rejected)
    assert "LOOPGATE_URL" in str(ended)


def test_a_gateway_newer_than_the_client_is_understood() -> None:
    """Fields that are not known yet are left."""
    decided = {"kind": "approve", "transitionId": "approve", "personId": "dana", "name": "Dana", "mood": "good"}
    reply = answer(decidedBy=decided | {"at": "2026-11-22T10:00:00Z"}, news={"more": 1})
    _, found = play(asking().get("ar_1"), reply)

    assert found.decided_by.person_id == "dana"  # type: ignore[union-attr]


def test_waiting_polls_again_until_there_is_a_decision() -> None:
    """Every poll that ends without news is followed by the next; no time is lost between them."""
    clock = Clock()
    dialogue = asking(clock).wait("ar_1", None)
    polls = [next(dialogue)]
    for _ in range(3):
        clock.at += POLL_S
        polls.append(dialogue.send(answer()))
    with pytest.raises(StopIteration) as end:
        dialogue.send(answer(status="rejected"))

    assert polls == [Send("GET", "/approvals/ar_1", {"wait": "30"}, timeout_s=50)] * 4
    assert end.value.value.status == "rejected"


def test_waiting_never_spins_on_answers_that_come_at_once() -> None:
    """A cache in between that answers open immediately is asked once a second."""
    steps, _ = play(asking().wait("ar_1", None), answer(), None, answer(), None)

    assert [type(step).__name__ for step in steps] == ["Send", "Pause", "Send", "Pause", "Send"]
    assert steps[1] == Pause(1.0)


def test_waiting_ends_when_its_time_is_over() -> None:
    """The last poll waits for what is left only, and the open request is in the error."""
    clock = Clock()
    dialogue = asking(clock).wait("ar_1", 40)
    next(dialogue)
    clock.at = 30.0
    last = dialogue.send(answer())
    clock.at = 40.0
    with pytest.raises(TimedOut) as told:
        dialogue.send(answer())

    assert last.query == {"wait": "10"}  # type: ignore[union-attr]
    assert told.value.approval.approval_id == "ar_1"


@pytest.mark.parametrize(("key", "words"), [(None, 1), ("deploy-7", 0)])
def test_who_is_interrupted_takes_back_what_nobody_else_could_find(key: str | None, words: int) -> None:
    """Ctrl-C or a cancelled task leaves no card that people decide on for nobody; under a key it stays to be found."""
    dialogue = asking().approve("Delete it", key=key)
    steps, _ = play(dialogue, answer(), KeyboardInterrupt())
    said = [step.path for step in steps[2:] if isinstance(step, Send)]

    assert said == ["/approvals/ar_1/withdraw"] * words
    if words:
        with pytest.raises(KeyboardInterrupt):
            dialogue.send(NoReply("whatever"))


@pytest.mark.parametrize("key", ["", "zwölf", "a b", "a\r\nx: y", "x" * 129])
def test_a_key_that_is_no_header_is_refused_before_anything_is_sent(key: str) -> None:
    """Keys are visible ASCII."""
    steps, ended = play(asking().request("Delete it", key=key))

    assert steps == []
    assert isinstance(ended, Rejected)
