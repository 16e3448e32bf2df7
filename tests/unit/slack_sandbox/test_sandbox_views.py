"""Modals and Home tabs: triggers, stacks, hashes and what submissions are answered with."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response
from unit.slack_sandbox.sandbox_driver import ADA, LIN, Slack, a_button, a_modal, mrkdwn, plain

Json = dict[str, Any]

HOME = {"type": "home", "blocks": [{"type": "section", "text": mrkdwn("hello")}]}


async def test_trigger_opens_one_modal(slack: Slack) -> None:
    """A trigger id is used up by the modal it opens."""
    trigger_id = await slack.trigger()

    first = await slack.api("views.open", trigger_id=trigger_id, view=a_modal())
    second = await slack.api("views.open", trigger_id=trigger_id, view=a_modal())

    assert first["ok"]
    assert first["view"]["root_view_id"] == first["view"]["id"]
    assert second["error"] == "exchanged_trigger_id"
    assert [v["id"] for v in (await slack.read(f"views?user={ADA}"))["views"]] == [first["view"]["id"]]


async def test_trigger_expires_after_three_seconds(slack: Slack) -> None:
    """Past three seconds a trigger id opens nothing."""
    trigger_id = await slack.trigger()
    await slack.control("clock", advance_s=3.1)

    assert (await slack.api("views.open", trigger_id=trigger_id, view=a_modal()))["error"] == "expired_trigger_id"


async def test_trigger_lives_as_long_as_the_configuration_says(make_slack: Callable[..., Slack]) -> None:
    """Tests that are not about time give an app longer than Slack does."""
    slack = make_slack(trigger_life_s=60)
    trigger_id = await slack.trigger()
    await slack.control("clock", advance_s=50)

    assert (await slack.api("views.open", trigger_id=trigger_id, view=a_modal()))["ok"]


async def test_trigger_nobody_issued_is_invalid(slack: Slack) -> None:
    """A made-up trigger id is refused, a missing one is an invalid argument."""
    assert (await slack.api("views.open", trigger_id="1.2.x", view=a_modal()))["error"] == "invalid_trigger_id"
    assert (await slack.api("views.open", view=a_modal()))["error"] == "invalid_arguments"


async def test_refused_view_leaves_the_trigger_unused(slack: Slack) -> None:
    """A view with mistakes is refused before its trigger id is spent."""
    trigger_id = await slack.trigger()

    refused = await slack.api("views.open", trigger_id=trigger_id, view=a_modal(title=plain("x" * 25)))
    accepted = await slack.api("views.open", trigger_id=trigger_id, view=a_modal())

    assert refused["error"] == "invalid_arguments"
    assert "/view/title/text" in refused["response_metadata"]["messages"][0]
    assert accepted["ok"]


async def test_stack_holds_three_views(slack: Slack) -> None:
    """The third push is refused; each pushed view knows its root and its previous."""
    view = await slack.open()
    ids = [view["id"]]
    for _ in range(2):
        click = await slack.act("click", user=ADA, view_id=ids[-1], action_id="details")
        pushed = (await slack.api("views.push", trigger_id=click["trigger_id"], view=a_modal()))["view"]
        assert (pushed["root_view_id"], pushed["previous_view_id"]) == (ids[0], ids[-1])
        ids.append(pushed["id"])

    click = await slack.act("click", user=ADA, view_id=ids[-1], action_id="details")
    refused = await slack.api("views.push", trigger_id=click["trigger_id"], view=a_modal())

    assert refused["error"] == "push_limit_reached"


async def test_push_needs_a_trigger_from_inside_the_modal(slack: Slack) -> None:
    """A trigger from a message cannot push."""
    await slack.open()

    answer = await slack.api("views.push", trigger_id=await slack.trigger(), view=a_modal())

    assert answer["error"] == "not_found"


async def test_update_with_an_old_hash_conflicts(slack: Slack) -> None:
    """views.update honours the hash: only who saw the newest version may change it."""
    view = await slack.open()

    first = await slack.api("views.update", view_id=view["id"], hash=view["hash"], view=a_modal())
    second = await slack.api("views.update", view_id=view["id"], hash=view["hash"], view=a_modal())

    assert first["view"]["hash"] != view["hash"]
    assert second["error"] == "hash_conflict"
    assert (await slack.api("views.update", view_id="V9", view=a_modal()))["error"] == "not_found"


async def test_update_keeps_what_was_typed(slack: Slack) -> None:
    """A block that stays keeps its value, one that went loses it."""
    view = await slack.open()
    await slack.act("click", user=ADA, view_id=view["id"], action_id="details", values={"reason": {"text": "typed"}})

    await slack.api("views.update", view_id=view["id"], view=a_modal(title=plain("Changed")))

    [shown] = (await slack.read(f"views?user={ADA}"))["views"]
    assert shown["title"]["text"] == "Changed"
    assert shown["state"]["values"]["reason"]["text"]["value"] == "typed"


async def test_external_ids_are_unique_and_find_the_view(slack: Slack) -> None:
    """views.update takes external_id; a second view with the same one is refused."""
    await slack.open(a_modal(external_id="x1"))

    updated = await slack.api("views.update", external_id="x1", view=a_modal(external_id="x1"))
    doubled = await slack.api("views.open", trigger_id=await slack.trigger(LIN), view=a_modal(external_id="x1"))

    assert updated["ok"]
    assert doubled["error"] == "duplicate_external_id"


async def test_submission_carries_every_value(slack: Slack) -> None:
    """view_submission arrives with state.values, callback_id and private_metadata; an empty answer closes the modal."""
    view = await slack.open(a_modal(private_metadata="r1"))

    answer = await slack.submit(view["id"], "too risky")

    payload = slack.app.payloads[-1]
    assert payload["type"] == "view_submission"
    assert payload["view"]["state"]["values"]["reason"]["text"] == {"type": "plain_text_input", "value": "too risky"}
    assert (payload["view"]["callback_id"], payload["view"]["private_metadata"]) == ("reject", "r1")
    assert payload["view"]["hash"] == view["hash"]
    assert answer["views"] == []


async def test_errors_are_shown_at_the_inputs(slack: Slack) -> None:
    """response_action errors keeps the modal open with the texts at their blocks."""
    view = await slack.open()
    slack.app.answers_with({"response_action": "errors", "errors": {"reason": "Too short"}})

    answer = await slack.submit(view["id"])

    assert answer["errors"] == {"reason": "Too short"}
    assert answer["views"][0]["errors"] == {"reason": "Too short"}
    assert answer["views"][0]["state"]["values"]["reason"]["text"]["value"] == "the budget is spent"


@pytest.mark.parametrize(
    "answer",
    [
        500,
        "not json",
        {"response_action": "dance"},
        {"response_action": "errors", "errors": {"more": "not an input"}},
        {"response_action": "errors", "errors": {}},
        {"response_action": "update", "view": {"type": "modal"}},
    ],
)
async def test_bad_answer_leaves_the_modal_open_with_trouble(slack: Slack, answer: Any) -> None:
    """A failing or wrong answer shows Slack's connection trouble and a warning; what was typed stays."""
    view = await slack.open()
    slack.app.answers_with(answer)

    done = await slack.submit(view["id"])

    assert done["warning"]
    assert done["views"][0]["trouble"] == "We had some trouble connecting. Try again?"
    assert done["views"][0]["state"]["values"]["reason"]["text"]["value"] == "the budget is spent"


async def test_late_answer_leaves_the_modal_open(slack: Slack) -> None:
    """Past the deadline the modal stays, and says so."""
    view = await slack.open()
    await slack.control("clock", ack_deadline_s=0.05)

    async def late(_: Json) -> Response:
        await asyncio.sleep(60)
        return PlainTextResponse("")

    slack.app.calls_back(late)
    done = await slack.submit(view["id"])

    assert done["problem"] == "timeout"
    assert done["views"][0]["trouble"]


async def test_submission_may_update_push_and_clear(slack: Slack) -> None:
    """update replaces the view, push stacks one, clear closes all."""
    view = await slack.open()
    slack.app.answers_with(
        {"response_action": "update", "view": a_modal(title=plain("Second"))},
        {"response_action": "push", "view": a_modal(title=plain("Third"))},
        {"response_action": "clear"},
    )

    updated = (await slack.submit(view["id"]))["views"]
    pushed = (await slack.submit(view["id"]))["views"]
    cleared = (await slack.submit(pushed[-1]["id"]))["views"]

    assert [(v["id"], v["title"]["text"]) for v in updated] == [(view["id"], "Second")]
    assert [v["title"]["text"] for v in pushed] == ["Second", "Third"]
    assert cleared == []


async def test_required_input_left_empty_is_not_sent(slack: Slack) -> None:
    """Slack's client checks required inputs itself; the app hears nothing."""
    view = await slack.open()
    before = len(slack.app.received)

    answer = await slack.submit(view["id"], None)

    assert answer["sent"] is False
    assert answer["errors"] == {"reason": "Please complete all required fields."}
    assert len(slack.app.received) == before


async def test_number_outside_its_bounds_is_not_sent(slack: Slack) -> None:
    """number_input is checked before the app is asked."""
    element = {"type": "number_input", "action_id": "n", "is_decimal_allowed": False, "max_value": "20"}
    view = await slack.open(
        a_modal(blocks=[{"type": "input", "block_id": "b", "label": plain("n"), "element": element}])
    )

    high = await slack.act("submit", user=ADA, view_id=view["id"], values={"b": {"n": "21"}})
    half = await slack.act("submit", user=ADA, view_id=view["id"], values={"b": {"n": "1.5"}})
    fine = await slack.act("submit", user=ADA, view_id=view["id"], values={"b": {"n": 20}})

    assert high["errors"] == {"b": "Please enter a number of at most 20."}
    assert half["errors"] == {"b": "Please enter a whole number."}
    assert fine["sent"] is True


async def test_closing_is_told_only_when_asked_for(slack: Slack) -> None:
    """view_closed is sent with notify_on_close and not without."""
    silent = await slack.open()
    await slack.act("close", user=ADA, view_id=silent["id"])
    told = await slack.open(a_modal(notify_on_close=True))
    await slack.act("close", user=ADA, view_id=told["id"])

    closed = [p for p in slack.app.payloads if p["type"] == "view_closed"]
    assert [(p["view"]["id"], p["is_cleared"]) for p in closed] == [(told["id"], False)]


async def test_cross_clears_the_whole_stack(slack: Slack) -> None:
    """Closing everything tells each view that asked, with is_cleared."""
    view = await slack.open(a_modal(notify_on_close=True))
    slack.app.answers_with({"response_action": "push", "view": a_modal(notify_on_close=True)}, "")
    await slack.submit(view["id"])

    answer = await slack.act("close", user=ADA, all=True)

    closed = [p for p in slack.app.payloads if p["type"] == "view_closed"]
    assert [p["is_cleared"] for p in closed] == [True, True]
    assert answer["views"] == []


async def test_only_the_front_view_of_its_owner_is_submitted(slack: Slack) -> None:
    """Nobody submits another person's modal."""
    view = await slack.open()

    assert (await slack.submit(view["id"], user=LIN))["error"] == "no_such_view"


async def test_home_is_published_per_person_with_hash(slack: Slack) -> None:
    """views.publish sets one person's Home tab; an old hash conflicts; clicks there name the view."""
    home = HOME | {"blocks": [{"type": "actions", "elements": [a_button("refresh")]}]}

    first = await slack.api("views.publish", user_id=ADA, view=home)
    again = await slack.api("views.publish", user_id=ADA, view=home, hash=first["view"]["hash"])
    stale = await slack.api("views.publish", user_id=ADA, view=home, hash=first["view"]["hash"])
    await slack.act("click", user=ADA, view_id=first["view"]["id"], action_id="refresh")

    assert again["view"]["id"] == first["view"]["id"]
    assert stale["error"] == "hash_conflict"
    assert (await slack.read(f"home?user={ADA}"))["view"]["type"] == "home"
    assert (await slack.read(f"home?user={LIN}"))["view"] is None
    assert slack.app.payloads[-1]["container"] == {"type": "view", "view_id": first["view"]["id"]}
    assert "response_url" not in slack.app.payloads[-1]


async def test_home_refuses_a_modal(slack: Slack) -> None:
    """A Home tab takes no title or submit, and nobody unknown."""
    assert (await slack.api("views.publish", user_id=ADA, view=a_modal()))["error"] == "invalid_arguments"
    assert (await slack.api("views.publish", user_id="U9", view=HOME))["error"] == "user_not_found"
