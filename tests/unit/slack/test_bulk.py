"""Approving several requests in one window: each its own decision, each its own outcome."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from builders import TENANT, a_change, a_house, an_answer
from unit.slack.rig import Rig, a_rig
from unit.slack.subjects import assert_slack_takes_modal, said, waiting, with_request
from unit.slack.test_home import home, press

from channels.slack.bulk import Group, bulk_view
from loops.approvals import ApprovalRequest, Fact


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Three requests of one loop."""
    async with a_rig(a_house()) as made:
        await made.house.propose("CHG-8")
        await made.house.propose("CHG-9", behind="robin")
        yield made


async def window(rig: Rig, user: str = "UDANA") -> dict[str, Any]:
    """Open the window from the Home tab."""
    await press(rig, user, await home(rig, user), "Approve several")
    return (await rig.get("views", user=user))[-1]


async def submit(rig: Rig, view: dict[str, Any], chosen: list[str] | None, user: str = "UDANA") -> dict[str, Any]:
    """Submit the window with these of its checkboxes, or as it is."""
    values = {} if chosen is None else {"loopgate.bulk.selected": {"value": chosen}}
    return await rig.act("submit", user, view_id=view["id"], values=values)


async def requests(rig: Rig) -> dict[str, ApprovalRequest]:
    """Return every request of the rig by its business object."""
    found = [await rig.house.store.load_aggregate(TENANT, name) for name in ("CHG-7", "CHG-8", "CHG-9")]
    return {each.instance.aggregate_id: each.request for each in found if each and each.request}


async def test_the_window_lists_each_request(rig: Rig) -> None:
    """What is approved together is shown one by one, with facts, what runs and the digest; all are selected."""
    view = await window(rig)
    told = said(view["blocks"])

    assert_slack_takes_modal({key: view[key] for key in ("type", "title", "submit", "close", "blocks", "callback_id")})
    assert "*Test change*: 3 requests." in told
    assert told.count("Service: checkout") == 3
    assert told.count("*deployer*: rollout") == 3
    boxes = next(block for block in view["blocks"] if block.get("block_id") == "loopgate.bulk.selected")["element"]
    assert boxes["initial_options"] == boxes["options"]
    assert rig.gate.answers == []


async def test_each_selected_request_is_a_decision_of_its_own(rig: Rig) -> None:
    """One submission gives one decision for each selected request, under its own key; the rest is left alone."""
    view = await window(rig)
    order = [answer_id(view, number) for number in range(3)]
    await submit(rig, view, ["0", "2"])
    statuses = {name: request.status for name, request in (await requests(rig)).items()}

    assert [answer.request_id for answer in rig.gate.answers] == [order[0], order[2]]
    assert len({answer.key for answer in rig.gate.answers}) == 2
    assert sorted(statuses.values()) == ["approved", "approved", "open"]
    result = (await rig.get("views", user="UDANA"))[-1]
    assert said(result["blocks"]).count(": approved") == 2
    assert "Waiting for you: 1" in said((await home(rig, "UDANA", opens=False))["blocks"])


def answer_id(view: dict[str, Any], number: int) -> str:
    """Return the request at a place of the window."""
    import json

    return str(json.loads(view["private_metadata"])["r"][number][0])


async def test_the_result_lists_each_outcome(rig: Rig) -> None:
    """What somebody else decided meanwhile is refused for that one only, and said beside what was approved."""
    view = await window(rig)
    taken = (await requests(rig))["CHG-8"]
    await rig.house.engine.answer(an_answer(taken, "reject", "sam", reason="no"), tenant=TENANT)
    await submit(rig, view, None)
    result = said((await rig.get("views", user="UDANA"))[-1]["blocks"])

    assert result.count(": approved") == 2
    assert "Already rejected by Sam" in result
    assert (await requests(rig))["CHG-8"].status == "rejected"


async def test_a_delivery_of_the_window_twice_decides_once(rig: Rig) -> None:
    """Slack may deliver a submission twice; each request is decided once."""
    view = await window(rig)
    taken = await submit(rig, view, None)
    await rig.sandbox.post("/sandbox/duplicate", json={"delivery_id": taken["delivery_id"]})

    assert all(len(request.decisions) == 1 for request in (await requests(rig)).values())
    assert {outcome.outcome for outcome in rig.gate.outcomes} == {"executed"}


async def test_who_asked_does_not_approve_their_own_with_the_rest(rig: Rig) -> None:
    """The window lists only what its reader may decide."""
    view = await window(rig, "UROBIN")

    assert "2 requests" in said(view["blocks"])
    assert (await requests(rig))["CHG-9"].request_id not in view["private_metadata"]


async def test_a_forged_window_decides_nothing_it_may_not(rig: Rig) -> None:
    """Another person's submission of the same window is judged as theirs; numbers it did not list are refused."""
    view = await window(rig)
    rig.house.people.known.pop("dana")
    await submit(rig, view, None)

    assert {outcome.code for outcome in rig.gate.outcomes} == {"unmapped_identity"}  # type: ignore[union-attr]
    assert all(request.status == "open" for request in (await requests(rig)).values())


async def test_the_store_away_leaves_each_said_as_unknown(rig: Rig) -> None:
    """Nobody is told that something was decided when nobody knows."""
    view = await window(rig)
    rig.gate.is_away = True
    await submit(rig, view, None)

    assert said((await rig.get("views", user="UDANA"))[-1]["blocks"]).count("did not answer in time") == 3


async def test_one_request_alone_is_not_offered_together() -> None:
    """Where only one of a kind waits, its own buttons are enough."""
    async with a_rig(a_house()) as rig:
        assert "Approve several" not in said((await home(rig, "UDANA"))["blocks"])


async def test_a_required_reason_is_asked_once_and_recorded_for_each() -> None:
    """A reason the policy wants stands on every decision."""
    async with a_rig(a_house(a_change(reason={"approve": "required", "reject": "required"}))) as rig:
        await rig.house.propose("CHG-8")
        view = await window(rig)
        values = {"loopgate.bulk.reason": {"value": "load test passed"}}
        await rig.act("submit", "UDANA", view_id=view["id"], values=values)

        assert [answer.reason for answer in rig.gate.answers] == ["load test passed"] * 2
        assert {outcome.outcome for outcome in rig.gate.outcomes} == {"executed"}


@pytest.mark.parametrize("text", ["<!channel> *b* `c` " * 400, "😀" * 3_000, ""])
def test_whatever_requests_hold_slack_takes_the_window(text: str) -> None:
    """Hostile and huge titles and facts stay within Slack's limits, and every digest travels along."""
    facts = tuple(Fact(label=text, value=text) for _ in range(50))
    subjects = tuple(
        with_request(waiting(), title=text, facts=facts, request_id=f"ar_{'x' * 26}{number}") for number in range(30)
    )

    assert_slack_takes_modal(bulk_view(Group("test.change", text, "approve", subjects)))
