"""A card tells how a request has come along: stages, versions, questions, parts handed over, parked transitions."""

import asyncio
from typing import Any

import pytest
from builders import TENANT, a_change, a_house, a_person, an_answer, person
from unit.slack.subjects import (
    an_approval,
    assert_slack_takes_message,
    decided,
    edited,
    loaded,
    parked,
    questioned,
    said,
    staged,
    waiting,
    with_request,
    with_result,
)

from channels.slack import wording
from channels.slack.card import render
from channels.slack.course import net_changes, so_far
from channels.slack.details import document
from channels.slack.notices import notice_text
from channels.slack.why import why_text
from loops.approvals import HumanAsk, Progress
from loops.cards import Notice
from loops.editing import Change
from loops.naming import names_of
from loops.ports import Loaded


def told(subject: Loaded) -> str:
    """Return all the card says, once Slack takes it."""
    blocks = render(subject).blocks
    assert_slack_takes_message(blocks)
    return said(blocks)


def test_stages_say_what_is_done_what_waits_and_what_comes() -> None:
    """Each need of the open stage is counted, and the later ones are named."""
    text = told(staged())
    finance = told(with_request(staged(), progress=Progress(stage=1, filled=(0,))))

    assert "1 of 2 sre; then 1 of finance · Decide by" in text
    assert "Approved so far by *Dana* (<!date^" in text
    assert "*Who may decide:* 2 of sre, then 1 of finance. Each person counts once. Whoever asked for it" in text
    assert "✓ 2 of sre; 0 of 1 finance · Decide by" in finance


def test_needs_of_one_stage_are_counted_side_by_side() -> None:
    """What is asked for at the same time stands side by side, under its own name where it has one."""
    needs = [{"groups": ["sre"], "quorum": 2}, {"name": "the owner", "users": ["kim"]}]
    policy = a_change(approvers={}, stages=[{"needs": needs}]).state("PENDING_HUMAN_APPROVAL").approval
    request = staged().request
    assert request is not None

    text = told(
        with_request(
            staged(),
            proposal=request.proposal.changed(policy=policy),
            progress=Progress(stage=0, filled=(1, 0)),
        )
    )

    assert "1 of 2 sre and 0 of 1 the owner" in text


def test_lists_count_the_approvals_that_count() -> None:
    """Where there is room for a figure only, it is the card's: of all stages, without those that lapsed."""
    subject = with_request(waiting(2), decisions=(an_approval("Dana", 5), an_approval("Robin", 6)))
    lapsed = with_request(subject, progress=Progress(stage=0, filled=(1,), lapsed=("dana",)))
    told = [so_far(each.request) for each in (subject, lapsed, waiting(1)) if each.request]

    assert told == ["2 of 2 approvals", "1 of 2 approvals", None]


def test_an_approval_by_somebody_who_left_is_not_counted() -> None:
    """Once an approver has left the group, the next count leaves their approval out and says so."""

    async def leave() -> Loaded:
        house = a_house(a_change(quorum=3))
        request = await house.propose()
        await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
        house.people.known["dana"] = a_person("dana", "finance")
        await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
        return await loaded(house, request)

    text = told(asyncio.run(leave()))

    assert "1 of 3 approvals" in text
    assert "Approved so far by *Sam*" in text
    assert "No longer counted, as they may not decide any more: *Dana*" in text


def test_an_edit_shows_old_and_new_who_changed_it_and_whose_votes_are_void() -> None:
    """Version, editor, each value before and after, and the votes that count no more stand on the card."""
    text = told(edited())

    assert "✏️ *Version 2 of the proposal*, edited by *Sam*\n• replicas: `12` → `8`" in text
    assert "1 of 2 approvals" in text
    assert "Approved so far by *Sam*" in text
    assert "Votes on an earlier version, which count no more: *Dana*" in text
    assert '`{"replicas":8,"service":"checkout"}`' in text


def test_changes_are_shown_from_the_first_value_to_the_last() -> None:
    """A value edited twice is one change; one that is back where it was is none."""
    there, back = Change(path="a", old=1, new=2), Change(path="a", old=2, new=1)
    again = Change(path="b", old=None, new="x"), Change(path="b", old="x", new="y")

    assert net_changes([there, *again, back]) == [Change(path="b", old=None, new="y")]


def test_an_open_question_is_quoted_with_who_asks() -> None:
    """While a question waits the card says so first, and still offers the answers."""
    text = told(questioned(None))

    assert "❓ *Needs information*" in text
    assert "A question waits for its answer. It may be decided all the same." in text
    assert "❓ *Dana* asks (<!date^" in text
    assert "\n> How long is a ∗rollback∗?" in text
    assert "Approve" in text


def test_an_answer_comes_back_onto_the_card() -> None:
    """The answered question stays with its answer, quoted; the card waits for its approval again."""
    text = told(questioned("A <!here> minute."))

    assert "⏳ *Waiting for approval*" in text
    assert "💬 *CI* (service) answers (<!date^" in text
    assert "\n> A &lt;!here&gt; minute." in text


def test_a_parked_transition_says_who_asks_for_what() -> None:
    """The card about an agent's transition names the agent, the transition and the state."""
    text = told(parked())

    assert "*anthropic:claude* (AI agent) asks to take *Roll it out* (`roll_out`) in state ANALYZING." in text
    assert "Approve: Roll it out" in text


def test_a_hand_over_is_on_the_card() -> None:
    """Who handed their part to whom, and why, can be seen by everybody."""

    async def hand_over() -> Loaded:
        house = a_house()
        request = await house.propose()
        ask: dict[str, Any] = {"request_id": request.request_id, "by": person("dana"), "channel": {}, "key": "k"}
        await house.engine.consult(HumanAsk(**ask, to_person="sam", reason="On leave"), tenant=TENANT)
        return await loaded(house, request)

    assert "🔁 *Dana* handed their part to *sam*: “On leave”" in told(asyncio.run(hand_over()))


def test_a_failed_execution_says_what_went_wrong() -> None:
    """The error an integration's result carries is on the card."""
    failed = with_result(decided("approve"), "failed", result={"error": "503 from deployer"})

    assert "❌ *Approved, but execution failed*" in told(failed)
    assert "reported: failed\n> 503 from deployer" in told(failed)


def test_details_hold_all_of_the_course() -> None:
    """What the card shortens is complete under Details."""
    text = document(edited())

    assert '"path": "replicas"' in text
    assert '"votesOnEarlierVersions": [\n      {\n        "by": "Dana"' in text
    assert '"answer": "In a minute."' in document(questioned("In a minute."))
    assert an_approval("Dana", 1).by.name in text


async def test_people_are_called_by_their_names_and_groups_by_theirs() -> None:
    """Who is named by id stands by name wherever it is read who may decide; somebody unknown stands by id."""
    house = a_house(a_change(approvers={"groups": ["sre"], "users": ["kim", "zoe"]}))
    request = await house.propose()
    subject = await loaded(house, request)
    found = await names_of(house.people, TENANT, request)
    explained = await house.engine.explain(request.request_id, person("dana"), tenant=TENANT)
    notice = Notice(code="not_an_approver", message="no", request_id=request.request_id, address={"slackUserId": "U1"})
    assert explained is not None

    assert found == {"kim": "Kim"}
    assert "*Who may decide:* sre, Kim, zoe. One approval is enough." in said(render(subject, names=found).blocks)
    assert "needs 1 of sre, Kim, zoe." in why_text(request, explained, found)
    assert "these may: sre, Kim, zoe." in notice_text(notice, subject, team_id="T1", names=found)
    assert await names_of(None, TENANT, request) == {}


@pytest.mark.parametrize(
    ("separation", "words"),
    [
        ([], "One approval is enough."),
        (["requester"], "One approval is enough. Whoever asked for it may not."),
        (["requester", "submitter"], "One approval is enough. Whoever asked for it or proposed it may not."),
    ],
)
def test_who_may_decide_is_said_in_sentences(separation: list[str], words: str) -> None:
    """One thing a sentence: who, how many, and who not."""
    assert wording.who_may_decide("sre", 1, separation) == f"*Who may decide:* sre. {words}"
