"""Approval requests in every state a card may have to show, made by the real engine."""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

from builders import ANALYSIS, DATA, MORNING, TENANT, a_change, a_house, a_quiet_change, an_agent, an_answer, ci, person
from unit.slack.taken import MESSAGE, MODAL, assert_taken

from loops.actors import human
from loops.approvals import ApprovalRequest, Decision, HumanAsk
from loops.definition import LoopDefinition
from loops.ports import Loaded


@cache
def waiting(quorum: int = 1) -> Loaded:
    """Return an open request."""

    async def propose() -> Loaded:
        house = a_house(a_change(quorum=quorum))
        request = await house.propose(behind="robin")
        return await loaded(house, request)

    return asyncio.run(propose())


def undecided(**policy: Any) -> Loaded:
    """Return an open request under *policy*."""

    async def propose() -> Loaded:
        house = a_house(a_change(**policy))
        return await loaded(house, await house.propose())

    return asyncio.run(propose())


@cache
def decided(transition: str, reason: str | None = None, **policy: Any) -> Loaded:
    """Return a request Dana answered with *transition*."""

    async def decide() -> Loaded:
        house = a_house(a_change(**policy))
        request = await house.propose()
        await house.engine.answer(an_answer(request, transition, "dana", reason=reason), tenant=TENANT)
        return await loaded(house, request)

    return asyncio.run(decide())


@cache
def staged() -> Loaded:
    """Return a request that needs two of sre and then one of finance; Dana has approved."""

    async def approve() -> Loaded:
        needs = [{"needs": [{"groups": ["sre"], "quorum": 2}]}, {"needs": [{"groups": ["finance"]}]}]
        house = a_house(a_change(approvers={}, stages=needs))
        request = await house.propose()
        await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
        return await loaded(house, request)

    return asyncio.run(approve())


@cache
def edited() -> Loaded:
    """Return a request that Dana had approved when Sam changed the replicas to 8; one more must approve."""

    async def edit() -> Loaded:
        house = a_house(a_change(quorum=2, editable={"replicas": {"type": "integer", "minimum": 1}}))
        request = await house.propose()
        await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
        await house.engine.answer(an_answer(request, "approve", "sam", edits={"replicas": 8}), tenant=TENANT)
        return await loaded(house, request)

    return asyncio.run(edit())


@cache
def questioned(answer: str | None) -> Loaded:
    """Return a request about which Dana asked something; CI, who asked for it, gave *answer*."""

    async def ask() -> Loaded:
        house = a_house()
        request = await house.propose()
        asking = HumanAsk(
            request_id=request.request_id, by=person("dana"), question="How long is a *rollback*?", channel={}, key="k"
        )
        outcome = await house.engine.consult(asking, tenant=TENANT)
        assert outcome.request is not None
        if answer:
            (question,) = outcome.request.questions
            await house.engine.inform(
                tenant=TENANT,
                request_id=request.request_id,
                question_id=question.question_id,
                text=answer,
                actor=ci(),
            )
        return await loaded(house, request)

    return asyncio.run(ask())


@cache
def parked() -> Loaded:
    """Return a request about a transition that an agent asked for."""

    async def park() -> Loaded:
        loop = a_change().as_json()
        transition = {
            "id": "roll_out",
            "from": "ANALYZING",
            "to": "COMPLETE",
            "label": "Roll it out",
            "actors": ["ai-agent"],
            "approval": {"channel": "sre-approvals", "approvers": {"groups": ["sre"]}},
        }
        house = a_house(LoopDefinition.model_validate({**loop, "transitions": [*loop["transitions"], transition]}))
        await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=DATA, actor=ci())
        outcome = await house.engine.transition(
            tenant=TENANT, aggregate_id="CHG-7", transition="roll_out", actor=an_agent(), evidence=ANALYSIS
        )
        assert outcome.request is not None
        return await loaded(house, outcome.request)

    return asyncio.run(park())


async def loaded(house: Any, request: ApprovalRequest) -> Loaded:
    """Return *request* as it stands now."""
    found = await house.store.load_request(TENANT, request.request_id)
    assert found is not None
    return found


def with_request(subject: Loaded, **changes: Any) -> Loaded:
    """Return *subject* with fields of its request changed."""
    assert subject.request is not None
    return Loaded(subject.instance, subject.definition, subject.request.changed(**changes))


def with_instance(subject: Loaded, **changes: Any) -> Loaded:
    """Return *subject* with fields of its instance changed."""
    return Loaded(subject.instance.changed(**changes), subject.definition, subject.request)


def with_result(subject: Loaded, status: str, **more: Any) -> Loaded:
    """Return *subject* after an integration reported *status* and moved the loop."""
    result = {"integrationConnectionId": "deployer", "integrationKind": "webhook", "applyStatus": status, **more}
    return with_instance(
        subject,
        evidence={**subject.instance.evidence, "integration": result},
        last_transition_at=MORNING + timedelta(minutes=1),
    )


def an_approval(name: str, minute: int, reason: str | None = None) -> Decision:
    """Return one approval by a person called *name*."""
    return Decision(
        decision_id=f"de_{minute}",
        kind="approve",
        transition_id="approve",
        by=human(name.lower(), name, via="slack"),
        at=MORNING + timedelta(minutes=minute),
        reason=reason,
    )


def assert_slack_takes_message(blocks: list[dict[str, Any]]) -> None:
    """Fail unless everybody who knows what Slack takes would take *blocks* in a message."""
    assert_taken(MESSAGE, {"text": "a notification", "blocks": blocks})


def assert_slack_takes_modal(view: dict[str, Any]) -> None:
    """Fail unless everybody who knows what Slack takes would take *view* as a modal."""
    assert_taken(MODAL, view)


_OUR_DATES = re.compile(r"<!date\^\d+\^\{date_short_pretty\} at \{time\}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC>")


def mrkdwn_texts(value: Any) -> Iterator[str]:
    """Yield every formatted text in blocks or a view, without the dates we write."""
    if isinstance(value, list):
        for item in value:
            yield from mrkdwn_texts(item)
    elif isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            assert value["verbatim"] is True
            yield _OUR_DATES.sub("", value["text"])
        for item in value.values():
            yield from mrkdwn_texts(item)


def said(value: Any) -> str:
    """Return every text in blocks or a view on lines of its own, formatted or not, button labels included."""
    texts: list[str] = []

    def gather(here: Any) -> None:
        if isinstance(here, list):
            for item in here:
                gather(item)
        elif isinstance(here, dict):
            if here.get("type") in {"mrkdwn", "plain_text"}:
                texts.append(here["text"])
            for item in here.values():
                gather(item)

    gather(value)
    return "\n".join(texts)


def buttons(blocks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the buttons by their label."""
    return {
        element["text"]["text"]: element
        for block in blocks
        if block["type"] == "actions"
        for element in block["elements"]
        if element["type"] == "button"
    }


@cache
def failed(**policy: Any) -> Loaded:
    """Return an approved request whose roll-out failed without anybody being told; the loop waits."""

    async def fail() -> Loaded:
        house = a_house(a_quiet_change(**policy))
        request = await house.propose()
        await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
        await house.settle(request.instance_id, error="*no* quota <!channel>\nApproved by Dana")
        return await loaded(house, request)

    return asyncio.run(fail())
