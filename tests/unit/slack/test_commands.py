"""The slash command through the real Bolt app over HTTP: what it answers, to whom, and what it sets in motion."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from builders import TENANT, a_change, a_house, an_answer, person
from unit.slack.rig import Rig, a_rig
from unit.slack.subjects import assert_slack_takes_message, assert_slack_takes_modal, said

from channels.slack.card import render
from channels.slack.threads import told
from loops.approvals import ApprovalRequest


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A card waiting for an approval."""
    async with a_rig(a_house()) as made:
        yield made


async def answer_to(rig: Rig, user: str, text: str) -> dict[str, Any]:
    """Return the answer to a slash command, which Slack takes."""
    answer = await rig.act("command", user, channel="C1", text=text)
    assert (answer["status"], answer["warning"]) == (200, None)
    if not answer["body"]:
        return {}
    body = dict(json.loads(answer["body"]))
    assert_slack_takes_message(body["blocks"])
    assert len(body["blocks"]) <= 50
    return body


async def command(rig: Rig, user: str, text: str) -> str:
    """Return what a slash command privately answers."""
    body = await answer_to(rig, user, text)
    assert body["response_type"] == "ephemeral"
    assert said(body["blocks"]) == body["text"]
    return str(body["text"])


async def modal(rig: Rig, user: str) -> dict[str, Any]:
    """Return the window on top, which Slack takes."""
    view = (await rig.get("views", user=user))[-1]
    assert_slack_takes_modal(
        {key: view[key] for key in ("type", "title", "submit", "close", "blocks", "callback_id") if view.get(key)}
    )
    return view


async def approve(rig: Rig, by: str) -> ApprovalRequest:
    """Approve the rig's request."""
    outcome = await rig.house.engine.answer(an_answer(rig.request, "approve", by), tenant=TENANT)
    assert outcome.request is not None
    return outcome.request


async def test_pending_lists_what_waits_with_who_may_decide(rig: Rig) -> None:
    """Each request is named with its title, how long it waits, who decides and whether that is you."""
    told = await command(rig, "UDANA", "/loops pending")

    assert told.startswith("*Waiting for people:* 1\n⏳ *CHG-7*  “Roll out CHG-7”\n      Test change · asked <!date^")
    assert told.endswith(" · 1 of sre · ✅ you may decide")
    assert "you may decide" not in await command(rig, "UKIM", "/loops pending")
    await approve(rig, "dana")
    assert await command(rig, "UDANA", "/loops pending") == "Nothing waits for people right now."


async def test_pending_is_narrowed_down(rig: Rig) -> None:
    """`mine` is what I may decide; a group or a loop is what it may; anything else is said to be neither."""
    assert (await command(rig, "UDANA", "/loops pending mine")).startswith("*Waiting for you:* 1")
    assert await command(rig, "UKIM", "/loops pending mine") == "Nothing waits for you right now."
    assert (await command(rig, "UKIM", "/loops pending sre")).startswith("*Waiting for sre:* 1")
    assert (await command(rig, "UDANA", "/loops pending group")).startswith("*Waiting for group:* 1")
    assert (await command(rig, "UKIM", "/loops pending test.change")).startswith("*Waiting for test.change:* 1")
    assert "neither a loop nor a group" in await command(rig, "UDANA", "/loops pending dance")


async def test_pending_goes_on_page_by_page(rig: Rig) -> None:
    """What does not fit one page stands on the next, each once."""
    for number in range(20):
        await rig.house.propose(f"OPS-{number:02d}")
    first = await command(rig, "UDANA", "/loops pending")
    second = await command(rig, "UDANA", "/loops pending --page 2")

    assert first.startswith("*Waiting for people:* 21\n")
    assert "`/loops pending --page 2`" in first
    names = [line.split("*")[1] for line in f"{first}\n{second}".splitlines() if line.startswith("⏳")]
    assert sorted(names) == ["CHG-7", *(f"OPS-{number:02d}" for number in range(20))]
    assert await command(rig, "UDANA", "/loops pending --page 9") == "There is no page 9."


@pytest.mark.parametrize("name", ["CHG-7", "chg", "hg-7", "request"])
async def test_show_finds_by_any_part_of_an_id(rig: Rig, name: str) -> None:
    """A request, a loop or its business object is found by its id, or by a part that only it has."""
    name = rig.request.request_id if name == "request" else name
    told = await command(rig, "UDANA", f"/loops show {name}")

    assert told.startswith("*CHG-7*  ⏳ Approval needed: “Roll out CHG-7”")
    assert "test.change 1.0.0, in *PENDINGˍHUMANˍAPPROVAL*" in told or "in *PENDING_HUMAN_APPROVAL*" in told
    assert "> Service: checkout" in told
    assert rig.request.request_id in told


async def test_a_part_of_several_ids_asks_which(rig: Rig) -> None:
    """What may mean several things is not guessed: they are listed, those that begin with it first."""
    await rig.house.propose("CHG-8")
    await rig.house.propose("OLD-CHG")
    told = await command(rig, "UDANA", "/loops show chg")

    assert told.splitlines()[0] == "“chg” is part of several ids. Which one? `/loops show ID`"
    assert [line.split("*")[1] for line in told.splitlines()[1:]] == ["CHG-8", "CHG-7", "OLD-CHG"]


async def test_what_is_not_there_is_said(rig: Rig) -> None:
    """Ids nobody has, missing ids and hostile ones are answered with what to do, and mention nobody."""
    told = await command(rig, "UDANA", "/loops show ar_x<!here>*b*")
    assert told.startswith("Nothing here is called “ar_x&lt;!here&gt;∗b∗”")
    assert "Which one?" in await command(rig, "UDANA", "/loops show")
    assert "Nothing here" in await command(rig, "UDANA", "/loops history " + "x" * 3_000)
    assert "Did you mean `/loops pending`?" in await command(rig, "UDANA", "/loops pendign")
    assert "does not know “dance payload”" in await command(rig, "UDANA", "/loops dance payload")
    assert "`/loops show chg-7` says how it stands" in await command(rig, "UDANA", "/loops CHG-7")


async def test_another_tenants_things_do_not_exist(rig: Rig) -> None:
    """Nothing of another tenant is found, by any id."""
    await rig.house.engine.start(
        tenant="other", loop_id="test.change", aggregate_id="SECRET-1", data={}, actor=person("robin")
    )

    assert "Nothing here is called" in await command(rig, "UDANA", "/loops show SECRET-1")
    assert "SECRET" not in await command(rig, "UDANA", "/loops show li_")


async def test_history_is_readable_and_paged(rig: Rig) -> None:
    """The ledger is told in words, last page first."""
    await approve(rig, "dana")
    told = await command(rig, "UDANA", "/loops history CHG-7")
    total = (await rig.stored()).instance.head.sequence

    assert f" of {total}" in told.splitlines()[0]
    assert "✅ *Dana* approved" in told
    assert "PENDING" in told
    for number in range(20):
        await rig.house.engine.answer(an_answer(rig.request, f"nothing{number}", "kim"), tenant=TENANT)
    newest = await command(rig, "UDANA", "/loops history CHG-7")
    older = await command(rig, "UDANA", "/loops history CHG-7 --page 2")
    sequences = [line.split("`")[1] for line in f"{older}\n{newest}".splitlines() if line.startswith("`")]
    assert sequences == [str(number) for number in range(total + 20 - 23, total + 21)]
    assert "--page 2" in newest


async def test_who_says_who_may_and_why_others_may_not(rig: Rig) -> None:
    """Everybody the policy names is listed, with what keeps them from deciding."""
    await rig.house.propose("CHG-8", behind="robin")
    told = await command(rig, "UKIM", "/loops who CHG-8")

    assert "Needs 1 of sre." in told
    assert "✅ *Dana* may decide" in told
    assert "⛔ *Robin* may not: Robin is the requester (or behind it)" in told
    assert "you are in none of the groups it names" in told
    assert "✅ You can: press Approve" in await command(rig, "UDANA", "/loops who CHG-8")
    await approve(rig, "dana")
    decided = await command(rig, "UDANA", "/loops who CHG-7")
    assert decided.startswith("*CHG-7* asks nobody right now.\n• *Dana*: Approve, <!date^")


async def test_who_lists_who_has_answered() -> None:
    """With a quorum, those who have approved are named, and may not again."""
    async with a_rig(a_house(a_change(quorum=2))) as rig:
        await approve(rig, "dana")
        told = await command(rig, "USAM", "/loops who CHG-7")

        assert "• *Dana*: Approve, <!date^" in told
        assert "⛔ *Dana* may not: Dana has answered already" in told
        assert "1 of 2 approvals" in await command(rig, "USAM", "/loops pending")


async def test_definitions_say_what_they_start_with(rig: Rig) -> None:
    """Each loop is listed with the values its cards and integrations show."""
    told = await command(rig, "UDANA", "/loops definitions")

    assert told == "• *test.change* 1.0.0  Test change\n      started with changeId, service, replicas"


async def test_answers_are_private_unless_shared(rig: Rig) -> None:
    """Only `--share` shows an answer to the channel; a refusal is never shown."""
    body = await answer_to(rig, "UDANA", "/loops pending --share")

    assert body["response_type"] == "in_channel"
    assert "map Slack user UGHOST (team T1)" in await command(rig, "UGHOST", "/loops pending --share")


async def test_start_with_everything_starts_at_once(rig: Rig) -> None:
    """The person who typed it is the requester, so they may not approve what they started."""
    told = await command(
        rig, "UROBIN", '/loops start change id=CHG-9 changeId=CHG-9 service="check out" replicas=12 note.why=now'
    )
    loaded = await rig.house.store.load_aggregate(TENANT, "CHG-9")

    assert told == "▶️ Started *test.change* on *CHG-9*; it is in ANALYZING. `/loops show CHG-9` says how it stands."
    assert loaded is not None
    assert loaded.instance.requester == person("robin")
    assert loaded.instance.data == {
        "changeId": "CHG-9",
        "service": "check out",
        "replicas": 12,
        "note": {"why": "now"},
    }
    again = await command(rig, "UROBIN", "/loops start change id=CHG-9 changeId=CHG-9 service=x replicas=1")
    assert again.startswith("⛔ CHG-9 is in ANALYZING of test.change already")


async def test_start_asks_for_what_is_missing(rig: Rig) -> None:
    """A window asks for the id and every fact that was not given; what was given travels along."""
    assert await answer_to(rig, "UROBIN", "/loops start change service=checkout") == {}
    view = await modal(rig, "UROBIN")
    assert "Given already: service = checkout" in said(view["blocks"])
    labels = [block["label"]["text"] for block in view["blocks"] if block["type"] == "input"]
    assert labels == ["Id of the business object", "changeId", "replicas"]

    values = {
        "loopgate.start.id": {"value": "CHG-7"},
        "loopgate.start.0": {"value": "CHG-10"},
        "loopgate.start.1": {"value": "7"},
    }
    taken = await rig.act("submit", "UROBIN", view_id=view["id"], values=values)
    assert "CHG-7 is in" in json.dumps(taken)
    values["loopgate.start.id"] = {"value": "CHG-10"}
    await rig.act("submit", "UROBIN", view_id=view["id"], values=values)
    loaded = await rig.house.store.load_aggregate(TENANT, "CHG-10")
    assert loaded is not None
    assert loaded.instance.data == {"service": "checkout", "changeId": "CHG-10", "replicas": 7}
    assert "Started *test.change* on *CHG-10*" in said((await modal(rig, "UROBIN"))["blocks"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("start", "Which loop?"),
        ("start chnage", "Did you mean `/loops start test.change`?"),
        ("start test.change CHG-9", "“CHG-9” is not KEY=VALUE"),
        ("start test.change a=1 a.b=2", "One key is part of another"),
        ("start test.change a=" + "x" * 3_000, "too long for a window"),
        ("cancel", "Which one?"),
        ("retry", "Which effect?"),
        ("retry ef_none", "There is no effect “ef_none”"),
    ],
)
async def test_half_a_command_is_answered_with_the_rest(rig: Rig, text: str, words: str) -> None:
    """What cannot be done as typed changes nothing and says what to type."""
    assert words in (await command(rig, "UDANA", f"/loops {text}")).replace("ˍ", "_")
    assert (await rig.stored()).instance.version == 2


async def test_cancel_asks_once_more(rig: Rig) -> None:
    """Cancelling takes a second, deliberate step; it is attributed and has a reason."""
    assert await answer_to(rig, "UDANA", "/loops cancel chg-7") == {}
    view = await modal(rig, "UDANA")
    assert "You are about to cancel *CHG-7*" in said(view["blocks"])
    assert not (await rig.stored()).instance.is_over

    await rig.act("submit", "UDANA", view_id=view["id"], values={"loopgate.cancel.reason": {"value": "wrong service"}})
    stored = await rig.stored()
    assert stored.instance.status == "cancelled"
    event = (await rig.house.store.events(TENANT, stored.instance.instance_id))[-1]
    assert (event.type, event.data["actor"]["id"], event.data["reason"]) == ("loop.cancelled", "dana", "wrong service")
    assert "*CHG-7* is cancelled" in said((await modal(rig, "UDANA"))["blocks"])
    assert "is cancelled already" in await command(rig, "UDANA", "/loops cancel CHG-7")


async def test_who_has_no_part_in_a_loop_cannot_cancel_it(rig: Rig) -> None:
    """Neither asking for it nor deciding in it: refused, also with a window that was opened by somebody else."""
    assert "Only who asked for *CHG-7*" in await command(rig, "UKIM", "/loops cancel CHG-7")
    instance_id = (await rig.stored()).instance.instance_id
    outcome = await rig.gate.inner.cancel(
        tenant=TENANT, instance_id=instance_id, by=person("kim"), reason=None, key="forged"
    )

    assert outcome.outcome == "refused"
    assert not (await rig.stored()).instance.is_over


async def test_what_was_given_up_can_be_tried_again(rig: Rig) -> None:
    """`show` names what Loopgate gave up on; `retry` puts it back, for those with a part in the loop."""
    store: Any = rig.house.store
    effect = (await rig.house.effects((await rig.stored()).instance.instance_id, "card.post"))[0]
    from datetime import timedelta

    claim = await store.claim(effect.effect_id, lease=timedelta(minutes=1))
    await store.bury(effect.effect_id, claim.fence, error="Slack refused with 'not_in_channel'")
    name = effect.effect_id

    assert f"`/loops retry {name}` tries once more" in await command(rig, "UDANA", "/loops show CHG-7")
    assert "Kim neither asked for CHG-7 nor decides" in await command(rig, "UKIM", f"/loops retry {name}")
    assert "is tried once more" in await command(rig, "UDANA", f"/loops retry {name}")
    assert "being worked on already" in await command(rig, "UDANA", f"/loops retry {name}")
    assert (await store.effect(name)).state == "pending"
    refused, retried = (await store.events(TENANT, effect.instance_id))[-2:]
    assert (refused.type, refused.data["by"]["id"]) == ("effect.retry.refused", "kim")
    assert (retried.type, retried.data["actor"]["id"]) == ("effect.retried", "dana")


async def test_help_is_for_everybody(rig: Rig) -> None:
    """Help needs no mapping and names every command."""
    told = await command(rig, "UGHOST", "/loops")

    for verb in (
        "pending",
        "show ID",
        "history ID",
        "who ID",
        "definitions",
        "start LOOP",
        "cancel ID",
        "away until TIME to PERSON",
        "retry EFFECT",
    ):
        assert f"`/loops {verb}" in told


async def test_strangers_learn_how_to_be_mapped(rig: Rig) -> None:
    """Somebody nobody mapped learns nothing about any loop."""
    for text in ("pending", "show CHG-7", "history CHG-7", "who CHG-7", "start test.change", "cancel CHG-7"):
        assert "map Slack user UGHOST (team T1)" in await command(rig, "UGHOST", f"/loops {text}")


@pytest.mark.parametrize("text", ["pending", "show CHG-7", "who CHG-7", "history CHG-7", "cancel CHG-7"])
async def test_a_command_while_the_store_is_away_says_so(rig: Rig, text: str) -> None:
    """A command that cannot be answered says so."""
    rig.gate.is_away = True

    assert "could not look this up" in await command(rig, "UDANA", f"/loops {text}")


async def test_snooze_reminds_its_sender_later_by_direct_message(rig: Rig) -> None:
    """An approver is told when; somebody who may not decide why not; what is no span is asked for."""
    told = await command(rig, "UDANA", "/loops snooze CHG-7 30m")
    refused = await command(rig, "UKIM", "/loops snooze CHG-7 30m")
    too_long = await command(rig, "UDANA", "/loops snooze CHG-7 3d")
    loaded = await rig.house.store.load_request(TENANT, rig.request.request_id)

    assert told.startswith("💤 You will be reminded <!date^")
    assert refused.startswith("⛔ You may not decide this")
    assert too_long.startswith("⛔ You will not be reminded: its time ends before that")
    assert await command(rig, "UDANA", "/loops snooze CHG-7 soon") == (
        "For how long? Write it like `/loops snooze ID 30m`, `1h30m` or `1d`."
    )
    assert loaded is not None
    assert loaded.request is not None
    [snooze] = loaded.request.snoozes
    assert snooze.person == "dana"
    assert "slackChannelId" not in snooze.channel


async def test_away_says_until_when_who_decides_and_back_ends_it() -> None:
    """The time is repeated with its zone; shown, on the list of deciders and to who stands in; and ended."""
    async with a_rig(a_house(a_change(reassign="anyone"))) as rig:
        rig.house.people.known["dana"] = replace(rig.house.people.known["dana"], zone="Europe/Vienna")
        here = await command(rig, "UDANA", "/loops away")
        left = await command(rig, "UDANA", "/loops away until 2026-12-01 9:30 to <@UKIM|kim>")
        shown = await command(rig, "UDANA", "/loops away")
        of_kim = await command(rig, "UKIM", "/loops away")
        who = await command(rig, "UKIM", "/loops who CHG-7")
        decided = await rig.house.engine.answer(an_answer(rig.request, "approve", "kim"), tenant=TENANT)
        back, again = await command(rig, "UDANA", "/loops back"), await command(rig, "UDANA", "/loops back")

    assert here.startswith("You are not away.")
    assert "(Tue 01 Dec 2026 09:30 Europe/Vienna), and *Kim* decides in your stead" in left
    assert shown.startswith("🌴 You are away until <!date^1796113800^")
    assert "You decide in the stead of *Dana*, who is away until <!date^1796113800^" in of_kim
    assert "✅ *Dana* may decide (🌴 away until <!date^1796113800^" in who
    assert "✅ *Kim* may decide for *Dana*, who is away" in who
    assert "✅ You can, for *Dana*, who is away: press Approve" in who
    assert decided.outcome == "executed"
    assert back == "👋 Welcome back. *Kim* decides in your stead no more."
    assert again == "You are not away; there is nothing to end."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("away until tomorrow", "Until when, and who decides"),
        ("away to kim", "Until when, and who decides"),
        ("away until the cows come home to kim", "“the cows come home” is no time I can read."),
        ("away until 99:99 to kim", "“99:99” is no time I can read."),
        ("away until tomorrow to nobody", "⛔ Nobody called “nobody” is known here"),
        ("away until tomorrow to <@UGHOST>", "⛔ Nobody called"),
        ("away until tomorrow to dana", "⛔ that is yourself"),
        ("away until 2026-01-01 to kim", "⛔ 2026-01-01 00:00 UTC is over already"),
    ],
)
async def test_away_that_cannot_be_is_told_why(rig: Rig, text: str, answer: str) -> None:
    """What is missing is asked for with an example; what cannot be is refused; nothing was changed."""
    assert (await command(rig, "UDANA", f"/loops {text}")).startswith(answer)
    assert (await command(rig, "UDANA", "/loops away")).startswith("You are not away.")


async def test_a_card_names_who_decided_for_whom() -> None:
    """On the card, in its notification and in the thread: Kim for Dana."""
    async with a_rig(a_house(a_change(reassign="anyone"))) as rig:
        await command(rig, "UDANA", "/loops away until 3d to kim")
        request = await approve(rig, "kim")
        loaded = await rig.house.store.load_request(TENANT, request.request_id)
        assert loaded is not None
        card = render(loaded)
        events = await rig.house.store.events(TENANT, request.instance_id)
        [decided] = [told(event) for event in events if event.type == "approval.decision.recorded"]

    assert "Decided by *Kim for Dana*" in said(card.blocks)
    assert "Kim for Dana" in card.text
    assert decided == "✅ *Kim* for *Dana* approved"


async def test_people_whom_a_policy_names_stand_by_their_names() -> None:
    """`who` and `pending` call a person what people call them, not by the id of the configuration."""
    async with a_rig(a_house(a_change(approvers={"groups": ["sre"], "users": ["kim"]}))) as rig:
        who = await command(rig, "UDANA", "/loops who CHG-7")
        pending = await command(rig, "UDANA", "/loops pending")

    assert "Needs 1 of sre, Kim." in who
    assert "· 1 of sre, Kim ·" in pending
