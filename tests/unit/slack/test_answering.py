"""A click becomes a decision on the ledger before it is acknowledged, through the real Bolt app over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from builders import TENANT, a_change, a_house
from unit.slack.rig import Rig, a_rig
from unit.slack.subjects import buttons, said

from channels.slack import listening
from channels.slack.limits import PRIVATE_METADATA_MAX
from channels.slack.shown import Shown
from loops.outcomes import Executed, Refused

#: How long Slack waits for an answer, and what of that is the network's, in seconds. Source: facts/slack.md.
SLACK_WAITS_S, NETWORK_S = 3.0, 0.4


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A card waiting for an approval."""
    async with a_rig(a_house()) as made:
        yield made


async def test_one_click_approves_with_evidence_of_the_click(rig: Rig) -> None:
    """Approve decides at once; the evidence says which click, by whom, on which card."""
    click = await rig.approve("UDANA")
    (answer,) = rig.gate.answers

    assert (click["status"], click["body"], click["warning"]) == (200, "", None)
    assert answer.by is not None
    assert (answer.by.id, answer.by.authenticated_by) == ("dana", "slack")
    assert answer.channel == {
        "channelConnectionId": "channel.slack",
        "channelKind": "slack",
        "slackTeamId": "T1",
        "slackChannelId": "C1",
        "slackMessageTs": rig.address["ts"],
        "slackUserId": "UDANA",
        "slackActionId": "loopgate.answer.approve.0",
        "decisionSignalId": "approve",
    }
    assert (answer.request_id, answer.request_version, answer.digest, answer.transition_id) == (
        rig.request.request_id,
        1,
        rig.request.digest,
        "approve",
    )
    stored = await rig.stored()
    assert stored.instance.state == "ROLLING_OUT"
    assert stored.instance.evidence["channel"]["slackUserId"] == "UDANA"


async def test_the_ack_leaves_after_the_commit(rig: Rig) -> None:
    """While the commit is under way, Slack has no answer."""
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        await go_on.wait()

    rig.gate.before = wait
    click = asyncio.create_task(rig.approve("UDANA"))
    await entered.wait()
    done, _ = await asyncio.wait({click}, timeout=0.2)
    go_on.set()

    assert not done
    assert (await click)["status"] == 200
    assert (await rig.stored()).request.status == "approved"  # type: ignore[union-attr]


async def test_reject_asks_for_the_reason_and_decides_on_submit(rig: Rig) -> None:
    """Reject opens a modal; only its submission decides, with the reason."""
    click = await rig.reject("UDANA")
    (view,) = click["views"]

    assert rig.gate.answers == []
    assert len(view["private_metadata"]) <= PRIVATE_METADATA_MAX

    values = {"loopgate.reason": {"reason": "  Not before Monday.  "}}
    submitted = await rig.act("submit", "UDANA", view_id=view["id"], values=values)
    (answer,) = rig.gate.answers

    assert (submitted["status"], submitted["views"]) == (200, [])
    assert answer.reason == "Not before Monday."
    assert answer.channel["slackMessageTs"] == rig.address["ts"]
    assert answer.channel["slackActionId"] == "loopgate.ask.reject.1"
    stored = (await rig.stored()).request
    assert stored is not None
    assert stored.closed_by is not None
    assert (stored.status, stored.closed_by.reason) == ("rejected", "Not before Monday.")


async def test_closing_the_reason_modal_decides_nothing(rig: Rig) -> None:
    """A closed modal leaves the request open and tells nobody."""
    await rig.reject("UDANA")
    closed = await rig.act("close", "UDANA")

    assert closed["sent"] is False
    assert rig.gate.answers == []
    assert (await rig.stored()).request.is_open  # type: ignore[union-attr]


async def test_a_blank_reason_is_an_error_at_the_input(rig: Rig) -> None:
    """A reason of white space is refused where it was typed, and the modal stays."""
    (view,) = (await rig.reject("UDANA"))["views"]
    submitted = await rig.act("submit", "UDANA", view_id=view["id"], values={"loopgate.reason": {"reason": "   "}})

    assert submitted["errors"] == {"loopgate.reason": "Please say why; this answer needs a reason."}
    assert (await rig.stored()).request.is_open  # type: ignore[union-attr]


async def test_a_refused_submission_says_why_in_the_modal(rig: Rig) -> None:
    """Whoever comes too late with a reason is told in the modal what was decided by whom."""
    (view,) = (await rig.reject("UDANA"))["views"]
    await rig.approve("USAM")
    submitted = await rig.act("submit", "UDANA", view_id=view["id"], values={"loopgate.reason": {"reason": "no"}})

    assert isinstance(rig.gate.outcomes[-1], Refused)
    (told,) = submitted["views"]
    assert told["submit"] is None
    assert "Already approved (it is executing now) by Sam, <!date^" in said(told["blocks"])


async def test_a_reject_click_on_a_closed_request_is_answered_with_what_was_decided(rig: Rig) -> None:
    """Nobody types a reason for nothing."""
    await rig.approve("USAM")
    (told,) = (await rig.reject("UDANA"))["views"]

    assert "Already approved (it is executing now) by Sam" in said(told["blocks"])
    assert told["submit"] is None


async def test_approve_asks_for_a_reason_where_the_policy_requires_one() -> None:
    """`reason.approve: required` makes Approve open the modal too."""
    async with a_rig(a_house(a_change(reason={"approve": "required", "reject": "required"}))) as rig:
        (view,) = (await rig.click("UDANA", "loopgate.ask.approve.0"))["views"]
        values = {"loopgate.reason": {"reason": "Tested on staging."}}
        await rig.act("submit", "UDANA", view_id=view["id"], values=values)

        stored = (await rig.stored()).request
        assert stored is not None
        assert stored.closed_by is not None
        assert (stored.status, stored.closed_by.reason) == ("approved", "Tested on staging.")


async def test_an_unmapped_person_is_refused_on_the_record(rig: Rig) -> None:
    """The click of somebody nobody mapped reaches the gate without a person; a reject is not even asked why."""
    approve = await rig.approve("UGHOST")
    reject = await rig.reject("UGHOST")

    assert [answer.by for answer in rig.gate.answers] == [None, None]
    assert [outcome.code for outcome in rig.gate.outcomes if isinstance(outcome, Refused)] == ["unmapped_identity"] * 2
    assert (approve["status"], reject["status"], reject["views"]) == (200, 200, [])


async def test_people_of_another_workspace_are_nobody_here(rig: Rig) -> None:
    """In a shared channel an outsider may press the button, even with the id of somebody we know."""
    await rig.sandbox.post("/sandbox/users/UDANA", json={"team_id": "T9", "is_stranger": True})
    await rig.approve("UDANA")
    (answer,) = rig.gate.answers

    assert answer.by is None
    assert answer.channel["slackTeamId"] == "T9"
    assert (await rig.stored()).request.is_open  # type: ignore[union-attr]


async def test_a_repeated_delivery_counts_once(rig: Rig) -> None:
    """The same request again is refused as replayed; the same click signed anew gets the first answer."""
    click = await rig.approve("UDANA")
    again = {"delivery_id": click["delivery_id"]}
    replayed = (await rig.sandbox.post("/sandbox/replay", json=again)).json()["deliveries"][0]
    # A second later, or the new signature would be the old one.
    await rig.sandbox.post("/sandbox/clock", json={"advance_s": 1})
    anew = (await rig.sandbox.post("/sandbox/duplicate", json=again)).json()["deliveries"][0]

    assert (replayed["status"], json.loads(replayed["answer"])) == (401, {"error": "replayed"})
    assert (anew["status"], len(rig.gate.answers)) == (200, 2)
    assert len({answer.key for answer in rig.gate.answers}) == 1
    assert all(isinstance(outcome, Executed) for outcome in rig.gate.outcomes)
    assert (await rig.house.event_types((await rig.stored()).instance.instance_id)).count(
        "approval.decision.recorded"
    ) == 1


async def test_two_clicks_of_one_person_are_two_answers(rig: Rig) -> None:
    """A double click is two clicks: the second is told that it came too late."""
    await asyncio.gather(rig.approve("UDANA"), rig.approve("UDANA"))

    assert len({answer.key for answer in rig.gate.answers}) == 2
    assert sorted(type(outcome).__name__ for outcome in rig.gate.outcomes) == ["Executed", "Refused"]


async def test_a_click_that_cannot_be_recorded_is_a_500_and_said_privately(rig: Rig) -> None:
    """With the store away nothing is acknowledged, and the clicker knows at once."""
    rig.gate.is_away = True
    click = await rig.approve("UDANA")

    assert (click["status"], json.loads(click["body"])) == (500, {"error": "store_unavailable"})
    (told,) = await rig.whispers("UDANA")
    assert "Your answer could not be recorded" in told
    assert "Please try again" in told
    assert (await rig.stored()).request.is_open  # type: ignore[union-attr]


async def test_a_submission_that_cannot_be_recorded_keeps_the_modal(rig: Rig) -> None:
    """With the store away the reason is not lost: Slack keeps the modal, and submitting again counts."""
    (view,) = (await rig.reject("UDANA"))["views"]
    values = {"loopgate.reason": {"reason": "no"}}
    rig.gate.is_away = True
    away = await rig.act("submit", "UDANA", view_id=view["id"], values=values)
    rig.gate.is_away = False
    back = await rig.act("submit", "UDANA", view_id=view["id"], values=values)

    assert (away["status"], len(away["views"])) == (500, 1)
    assert "could not be recorded" in (await rig.whispers("UDANA"))[0]
    assert (back["status"], back["views"]) == (200, [])
    assert (await rig.stored()).request.status == "rejected"  # type: ignore[union-attr]


async def test_a_submission_whose_answer_got_lost_may_be_sent_again(rig: Rig) -> None:
    """Recorded or not, sending again is safe: the same reason gets the first answer, another one the truth."""
    (view,) = (await rig.reject("UDANA"))["views"]
    rig.gate.loses_answers = True
    lost = await rig.act("submit", "UDANA", view_id=view["id"], values={"loopgate.reason": {"reason": "no"}})
    rig.gate.loses_answers = False
    edited = await rig.act("submit", "UDANA", view_id=view["id"], values={"loopgate.reason": {"reason": "never"}})
    await rig.act("close", "UDANA", all=True)

    assert lost["status"] == 500
    assert "Already rejected by Dana" in said(edited["views"][0]["blocks"])
    assert (await rig.stored()).request.closed_by.reason == "no"  # type: ignore[union-attr]


async def test_a_slow_commit_is_given_up_within_slacks_three_seconds(rig: Rig) -> None:
    """When commit and private word both hang, Slack still has its 500 in time."""

    async def hang() -> None:
        await asyncio.Event().wait()

    rig.gate.before = hang
    await rig.fault("chat.postEphemeral", "slow", delay_s=600)
    click = await rig.approve("UDANA")

    assert (click["problem"], click["status"]) == (None, 500)
    assert listening.PATIENCE_S <= SLACK_WAITS_S - NETWORK_S


async def test_a_reject_click_while_the_store_is_away_says_so(rig: Rig) -> None:
    """No modal can be built without the request; the clicker is told to try again."""
    rig.gate.is_away = True
    click = await rig.reject("UDANA")

    assert (click["status"], click["views"]) == (500, [])
    assert "could not look this up" in (await rig.whispers("UDANA"))[0]


async def test_a_modal_that_slack_does_not_open_is_said(rig: Rig) -> None:
    """A trigger that expired or a Slack that is away leaves the clicker with a word, not with silence."""
    await rig.fault("views.open", "error", error="expired_trigger_id")
    click = await rig.reject("UDANA")

    assert click["status"] == 200
    assert "Nothing was decided; please click again" in (await rig.whispers("UDANA"))[0]


async def test_a_modal_that_slack_does_not_open_in_time_is_said_in_time(rig: Rig) -> None:
    """A Slack that hangs costs the clicker a word, not the three seconds."""
    await rig.fault("views.open", "slow", delay_s=600)
    click = await rig.reject("UDANA")

    assert (click["problem"], click["status"]) == (None, 200)
    assert listening.PATIENCE_S <= SLACK_WAITS_S - NETWORK_S
    assert "Nothing was decided; please click again" in (await rig.whispers("UDANA"))[0]


async def test_a_button_of_another_version_is_answered(rig: Rig) -> None:
    """A value we did not write decides nothing, and the clicker is told what to do."""
    blocks = (await rig.get("messages", channel="C1"))[0]["blocks"]
    buttons(blocks)["Approve"]["value"] = "not ours"
    await rig.client.chat_update(channel="C1", ts=rig.address["ts"], text="x", blocks=blocks)
    click = await rig.approve("UDANA")

    assert click["status"] == 200
    assert rig.gate.answers == []
    assert "made by another version of Loopgate" in (await rig.whispers("UDANA"))[0]


async def test_an_unknown_request_is_answered_though_there_is_no_ledger(rig: Rig) -> None:
    """Nobody else would tell the clicker: no commit, no notice."""
    blocks = (await rig.get("messages", channel="C1"))[0]["blocks"]
    gone = Shown.of(rig.request, transition_id="approve").model_copy(update={"request_id": "ar_gone"})
    buttons(blocks)["Approve"]["value"] = gone.encode()
    await rig.client.chat_update(channel="C1", ts=rig.address["ts"], text="x", blocks=blocks)
    click = await rig.approve("UDANA")

    assert click["status"] == 200
    assert await rig.whispers("UDANA") == [
        "This request is not known here any more. Nothing was changed. `/loops pending` lists what waits now."
    ]


async def test_racing_clicks_give_one_winner_and_truthful_answers(rig: Rig) -> None:
    """Of six concurrent clicks one decides; everybody gets an ack and the others are refused on the record."""
    clicks = await asyncio.gather(*(rig.approve(user) for user in ("UDANA", "USAM", "UROBIN") * 2))

    assert [click["status"] for click in clicks] == [200] * 6
    assert sum(isinstance(outcome, Executed) for outcome in rig.gate.outcomes) == 1
    events = await rig.house.store.events(TENANT, (await rig.stored()).instance.instance_id)
    refused: list[Any] = [event.data["code"] for event in events if event.type == "approval.decision.refused"]
    assert refused == ["already_decided"] * 5
