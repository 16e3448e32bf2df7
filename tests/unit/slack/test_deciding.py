"""Edit and approve, ask, reply, hand over, withdraw, explain: from the card, through the real Bolt app over HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from builders import TENANT, a_change, a_house, a_person, a_quiet_change, an_answer
from unit.slack.rig import Rig, a_rig
from unit.slack.subjects import buttons, said

from channels.slack.card import render
from channels.slack.faces import face_of
from channels.slack.limits import PRIVATE_METADATA_MAX
from channels.slack.shown import More
from loops.outcomes import Refused

EDITABLE = {
    "replicas": {"type": "integer", "minimum": 1, "maximum": 20},
    "service": {"type": "string", "maxLength": 40, "pattern": "^[a-z]+$"},
    "mode": {"enum": ["fast", "careful"]},
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A card waiting for an approval."""
    async with a_rig(a_house()) as made:
        yield made


@asynccontextmanager
async def editable(**policy: Any) -> AsyncIterator[Rig]:
    """Yield a card whose proposal may be edited."""
    async with a_rig(a_house(a_change(editable=EDITABLE, **policy))) as made:
        yield made


async def chosen(rig: Rig, user: str, verb: str) -> dict[str, Any]:
    """Choose an entry of the card's menu."""
    return await rig.click(user, "loopgate.more", value=More(request_id=rig.request.request_id, verb=verb).encode())


async def submit(rig: Rig, user: str, view: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Submit *view* with *values* by block, in which `__` stands for a dot."""
    typed = {}
    for name, value in values.items():
        block = next(each for each in view["blocks"] if each["block_id"] == f"loopgate.{name.replace('__', '.')}")
        typed[block["block_id"]] = {block["element"]["action_id"]: value}
    return await rig.act("submit", user, view_id=view["id"], values=typed)


async def test_only_an_editable_proposal_has_the_button(rig: Rig) -> None:
    """Edit and approve stands on the card where the policy lets anything be changed."""
    async with editable() as other:
        blocks = render(await other.stored()).blocks

    assert "Edit and approve" not in buttons(render(await rig.stored()).blocks)
    assert list(buttons(blocks)) == ["Approve", "Reject", "Edit and approve", "Details"]


async def test_the_edit_modal_has_typed_inputs_that_begin_with_what_is() -> None:
    """A number box with its bounds, a select with its choices, a text box: each with the present value."""
    async with editable() as rig:
        (view,) = (await rig.click("UDANA", "loopgate.edit"))["views"]
    inputs = {block["label"]["text"]: block for block in view["blocks"] if block["type"] == "input"}
    replicas, service, mode = (inputs[name]["element"] for name in ("replicas", "service", "mode"))

    assert list(inputs) == ["mode", "replicas", "service", "Reason"]
    assert (replicas["type"], replicas["initial_value"], replicas["min_value"], replicas["max_value"]) == (
        "number_input",
        "12",
        "1",
        "20",
    )
    assert replicas["is_decimal_allowed"] is False
    assert inputs["replicas"]["hint"]["text"] == "Now: 12 (1 to 20)"
    assert (service["type"], service["initial_value"], service["max_length"]) == ("plain_text_input", "checkout", 40)
    assert [option["text"]["text"] for option in mode["options"]] == ["fast", "careful"]
    assert "initial_option" not in mode
    assert inputs["mode"]["optional"] is True
    assert len(view["private_metadata"]) <= PRIVATE_METADATA_MAX


async def test_an_edit_approves_what_was_changed() -> None:
    """The submission approves a new version with exactly the values that are different."""
    async with editable() as rig:
        (view,) = (await rig.click("UDANA", "loopgate.edit"))["views"]
        answer = await submit(rig, "UDANA", view, edit__1="8", edit__0="1", reason="Half is enough")
        stored = await rig.stored()

    assert (answer["status"], answer["views"]) == (200, [])
    assert rig.gate.answers[-1].edits == {"replicas": 8, "mode": "careful"}
    assert stored.request is not None
    assert (stored.request.status, stored.request.version) == ("approved", 2)
    assert stored.instance.data["replicas"] == 8
    assert stored.request.decisions[-1].reason == "Half is enough"
    assert "• replicas: `12` → `8`" in said(render(stored).blocks)


async def test_what_does_not_fit_is_said_at_its_input() -> None:
    """A value outside the policy keeps the modal open, with the error where it was typed, and decides nothing."""
    async with editable() as rig:
        (view,) = (await rig.click("UDANA", "loopgate.edit"))["views"]
        pattern = await submit(rig, "UDANA", view, edit__2="Checkout 2")
        same = await submit(rig, "UDANA", view, edit__2="checkout")

    assert pattern["errors"] == {"loopgate.edit.2": "must match ^[a-z]+$"}
    assert same["errors"]["loopgate.edit.0"].startswith("Nothing is different.")
    assert rig.gate.answers == []
    assert (await rig.stored()).request.is_open  # type: ignore[union-attr]


async def test_an_edit_says_whose_approvals_it_voids_and_voids_them() -> None:
    """With several approvers the modal names the approvals that will be void; afterwards one counts: the editor's."""
    async with editable(quorum=2) as rig:
        await rig.approve("UDANA")
        (view,) = (await rig.click("USAM", "loopgate.edit"))["views"]
        await submit(rig, "USAM", view, edit__1="8")
        stored = (await rig.stored()).request

    assert "The approvals so far (*Dana* (<!date^" in said(view["blocks"])
    assert "will count no more. The changed proposal needs all of its approvals anew (2 of sre)" in said(view["blocks"])
    assert stored is not None
    assert ([each.by.user_id for each in stored.decisions], stored.status) == (["sam"], "open")


async def test_an_edit_of_what_has_changed_meanwhile_is_refused() -> None:
    """Whoever edits an older version is told so; the newer one stands."""
    async with editable(quorum=2) as rig:
        (view,) = (await rig.click("USAM", "loopgate.edit"))["views"]
        first = an_answer(rig.request, "approve", "dana", edits={"replicas": 3})
        await rig.house.engine.answer(first, tenant=TENANT)
        answer = await submit(rig, "USAM", view, edit__1="8")

    assert "no longer the one this card showed" in said(answer["views"][0]["blocks"])
    assert (await rig.stored()).instance.data["replicas"] == 3


async def test_a_question_goes_onto_the_card_and_its_answer_comes_back(rig: Rig) -> None:
    """An approver asks from the menu, anybody known replies from the card, and both stand on it."""
    (view,) = (await chosen(rig, "UDANA", "ask"))["views"]
    await submit(rig, "UDANA", view, text="How long is a rollback?")
    asked = await rig.stored()
    message = render(asked)
    await rig.client.chat_update(channel="C1", ts=rig.address["ts"], text=message.text, blocks=message.blocks)
    (reply,) = (await rig.click("UROBIN", "loopgate.inform"))["views"]
    answer = await submit(rig, "UROBIN", reply, text="Under a minute.")
    late = await rig.click("USAM", "loopgate.inform")
    card = said(render(await rig.stored()).blocks)

    assert asked.request is not None
    assert asked.request.open_question is not None
    assert "*Dana* asks about *Roll out CHG-7*:\n> How long is a rollback?" in said(reply["blocks"])
    assert (answer["status"], answer["views"]) == (200, [])
    assert "💬 *Robin* answers" in card
    assert "> Under a minute." in card
    assert late["views"] == []
    assert "has its answer already" in (await rig.whispers("USAM"))[0]


async def test_a_part_is_handed_over_to_a_person_we_know(rig: Rig) -> None:
    """The person chosen decides instead; somebody nobody mapped, or who may not decide, is refused at the input."""
    (view,) = (await chosen(rig, "UDANA", "hand"))["views"]
    ghost = await submit(rig, "UDANA", view, person="UGHOST")
    finance = await submit(rig, "UDANA", view, person="UKIM")
    taken = await submit(rig, "UDANA", view, person="USAM", reason="On leave")
    await rig.approve("UDANA")
    stored = (await rig.stored()).request

    assert "does not know this person" in ghost["errors"]["loopgate.person"]
    assert "may not decide" in finance["errors"]["loopgate.person"]
    assert (taken["status"], taken["views"]) == (200, [])
    assert stored is not None
    assert [(each.from_person, each.to_person, each.reason) for each in stored.reassignments] == [
        ("dana", "sam", "On leave")
    ]
    assert isinstance(rig.gate.outcomes[-1], Refused)
    assert rig.gate.outcomes[-1].code == "not_an_approver"


async def test_why_explains_the_policy_to_one_person() -> None:
    """Everybody gets their own answer, privately: what is needed, how far it is, what about them stands in the way."""
    async with a_rig(a_house(a_change(quorum=2)), behind="robin") as rig:
        await rig.approve("UDANA")
        for user in ("UDANA", "USAM", "UROBIN", "UKIM", "UGHOST"):
            click = await chosen(rig, user, "why")
            assert (click["status"], click["views"]) == (200, [])
        head = "*Roll out CHG-7* needs 2 of sre. So far: 1 of 2 approvals.\n"

        assert await rig.whispers("UDANA") == [head + "✅ You have answered already; each person counts once."]
        assert await rig.whispers("USAM") == [head + "✅ You can: press Approve or Reject on the card."]
        assert await rig.whispers("UROBIN") == [
            head + "⛔ You cannot decide it: you asked for it, or what asked for it acts for you."
        ]
        assert await rig.whispers("UKIM") == [
            head + "⛔ You cannot decide it: you are in none of the groups it names, nor named yourself."
        ]
        assert "not mapped to a person" in (await rig.whispers("UGHOST"))[0]


async def test_who_may_not_decide_is_told_before_they_type(rig: Rig) -> None:
    """Nobody types a question or chooses a successor for nothing."""
    for verb in ("ask", "hand"):
        assert (await chosen(rig, "UKIM", verb))["views"] == []

    assert all("none of the groups it names" in told for told in await rig.whispers("UKIM"))


async def test_only_who_asked_withdraws() -> None:
    """The human behind the agent takes the request back; anybody else is told in the modal that they did not ask."""
    async with a_rig(a_house(), behind="robin") as rig:
        (other,) = (await chosen(rig, "UDANA", "back"))["views"]
        refused = await submit(rig, "UDANA", other, reason="no")
        (own,) = (await chosen(rig, "UROBIN", "back"))["views"]
        await submit(rig, "UROBIN", own, reason="Wrong service")
        stored = await rig.stored()
        late = await chosen(rig, "USAM", "ask")

        assert "did not ask for this" in said(refused["views"][0]["blocks"])
        assert stored.request is not None
        assert (stored.request.status, stored.instance.status) == ("withdrawn", "cancelled")
        assert late["views"] == []
        assert "Already withdrawn" in (await rig.whispers("USAM"))[-1]


async def test_a_question_that_cannot_be_recorded_keeps_the_modal(rig: Rig) -> None:
    """With the store away nothing is lost or half done: 500, a private word, and submitting again counts once."""
    (view,) = (await chosen(rig, "UDANA", "ask"))["views"]
    rig.gate.is_away = True
    away = await submit(rig, "UDANA", view, text="Why now?")
    menu = await chosen(rig, "USAM", "ask")
    rig.gate.is_away = False
    back = await submit(rig, "UDANA", view, text="Why now?")

    assert (away["status"], len(away["views"])) == (500, 1)
    assert "could not be recorded" in (await rig.whispers("UDANA"))[0]
    assert (menu["status"], menu["views"]) == (500, [])
    assert (back["status"], back["views"]) == (200, [])
    assert len((await rig.stored()).request.questions) == 1  # type: ignore[union-attr]


async def test_who_was_removed_after_the_modal_opened_is_refused(rig: Rig) -> None:
    """Rights are judged when the question is sent, and the refusal is on the record."""
    (view,) = (await chosen(rig, "UDANA", "ask"))["views"]
    rig.house.people.known["dana"] = a_person("dana", "finance")
    refused = await submit(rig, "UDANA", view, text="Why now?")
    events = await rig.house.event_types((await rig.stored()).instance.instance_id)

    assert "You may not decide this" in said(refused["views"][0]["blocks"])
    assert events[-1] == "approval.decision.refused"


async def test_who_is_told_in_the_modal_is_told_once(rig: Rig) -> None:
    """A refusal said in the modal where it was typed is not said a second time by a worker."""
    (ask,) = (await chosen(rig, "UDANA", "ask"))["views"]
    (reject,) = (await rig.reject("USAM"))["views"]
    for who in ("dana", "sam"):
        rig.house.people.known[who] = a_person(who, "finance")
    told = [await submit(rig, "UDANA", ask, text="Why?"), await submit(rig, "USAM", reject, reason="No")]

    assert all("You may not decide this" in said(each["views"][0]["blocks"]) for each in told)
    assert await rig.house.effects(rig.request.instance_id, "notice") == []
    await rig.approve("UDANA")
    assert len(await rig.house.effects(rig.request.instance_id, "notice")) == 1


async def test_retry_on_the_card_goes_through_the_gate() -> None:
    """Pressed by somebody with a part in the loop it runs once more, on record; anybody else is told why not."""
    async with a_rig(a_house(a_quiet_change())) as rig:
        await rig.approve("UDANA")
        await rig.house.settle(rig.request.instance_id, error="no quota")
        await rig.channel.update(await rig.stored(), rig.address)
        for user in ("UKIM", "UGHOST", "USAM", "USAM"):
            clicked = await rig.click(user, "loopgate.retry.0")
            assert (clicked["status"], clicked["warning"]) == (200, None)
        events = await rig.house.event_types(rig.request.instance_id)

        assert events[-3:] == ["effect.retry.refused", "effect.retry.refused", "effect.retried"]
        assert "Kim neither asked for CHG-7" in (await rig.whispers("UKIM"))[0]
        assert "map Slack user UGHOST" in (await rig.whispers("UGHOST"))[0]
        assert "being worked on already" in (await rig.whispers("USAM"))[0]
        assert face_of(await rig.stored(), (await rig.stored()).request) == "executing"  # type: ignore[arg-type]


async def test_a_menu_entry_of_another_version_is_answered(rig: Rig) -> None:
    """An entry we did not write opens nothing, and the person is told."""
    blocks = (await rig.get("messages", channel="C1"))[0]["blocks"]
    menu = next(e for block in blocks if block["type"] == "actions" for e in block["elements"] if "options" in e)
    menu["options"][0]["value"] = json.dumps({"r": rig.request.request_id, "v": "approve"})
    await rig.client.chat_update(channel="C1", ts=rig.address["ts"], text="x", blocks=blocks)
    click = await rig.click("UDANA", "loopgate.more", value=menu["options"][0]["value"])

    assert (click["status"], click["views"]) == (200, [])
    assert "made by another version of Loopgate" in (await rig.whispers("UDANA"))[0]


async def test_a_risky_answer_is_asked_for_twice() -> None:
    """With `risk: high` Slack asks before Approve is sent, and says what runs; Reject and low risk are not."""
    async with a_rig(a_house(a_change(risk="high"))) as rig:
        found = buttons(render(await rig.stored()).blocks)
        await rig.approve("UDANA")

    assert found["Approve"]["confirm"]["text"]["text"] == (
        "“Approve” counts as soon as you confirm. At once this runs: deployer: rollout. It is about: “Roll out CHG-7”"
    )
    assert "confirm" not in found["Reject"]
    assert (await rig.stored()).request.status == "approved"  # type: ignore[union-attr]


async def test_the_menu_reminds_an_approver_in_an_hour(rig: Rig) -> None:
    """One click, nothing to fill in: it is on the ledger, and they are told until when."""
    click = await chosen(rig, "UDANA", "later")
    loaded = await rig.house.store.load_request(TENANT, rig.request.request_id)

    assert click["status"] == 200
    assert click["views"] == []
    assert loaded is not None
    assert loaded.request is not None
    assert [snooze.person for snooze in loaded.request.snoozes] == ["dana"]
    assert "approval.snoozed" in await rig.house.event_types(rig.request.instance_id)
    assert (await rig.whispers("UDANA"))[0].startswith("💤 You will be reminded <!date^")
