"""The Home tab through the real Bolt app over HTTP: what one person sees there, and deciding in place."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from builders import TENANT, a_change, a_house, an_answer, person
from unit.loops.test_absence import away
from unit.slack.rig import Rig, a_rig
from unit.slack.subjects import mrkdwn_texts, said, waiting, with_request

from channels.slack.following import Following, standing_of
from channels.slack.home import Standing, home_view, page_named
from channels.slack.shown import More, Shown
from channels.slack_sandbox.blockkit.surfaces import checked_view
from loops.approvals import Fact, HumanAsk


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A card waiting for an approval."""
    async with a_rig(a_house()) as made:
        yield made


async def home(rig: Rig, user: str, *, opens: bool = True) -> dict[str, Any]:
    """Return what stands on somebody's Home tab, opened just now unless it only is looked at."""
    if opens:
        answer = await rig.act("home", user)
        assert (answer["status"], answer["warning"]) == (200, None)
    return dict((await rig.sandbox.get("/sandbox/home", params={"user": user})).json()["view"])


async def press(rig: Rig, user: str, view: dict[str, Any], label: str, about: str = "") -> dict[str, Any]:
    """Press a button on somebody's Home tab; *about* is the request it belongs to."""
    element, block = next(
        (element, block)
        for block in view["blocks"]
        if block["type"] == "actions" and about in block["block_id"]
        for element in block["elements"]
        if element.get("text", {"text": ""})["text"].startswith(label)
    )
    return await rig.act("click", user, view_id=view["id"], action_id=element["action_id"], block_id=block["block_id"])


async def test_home_shows_what_waits_for_me(rig: Rig) -> None:
    """A request I may decide stands there with its facts, what runs and the card's own buttons."""
    view = await home(rig, "UDANA")
    told = said(view["blocks"])

    assert told.startswith("Waiting for you: 1\n*Roll out CHG-7*\n> Service: checkout\n")
    assert "*deployer*: rollout" in told
    assert "Waiting for people, by loop: Test change: 1" in told
    rows = [block for block in view["blocks"] if block["type"] == "actions"]
    labels = [element.get("text", {"text": "the menu"})["text"] for row in rows for element in row["elements"]]
    assert labels == ["Approve", "Reject", "Details", "the menu"]
    assert Shown.decode(rows[0]["elements"][0]["value"]).digest == rig.request.digest


async def test_home_of_somebody_who_may_not_decide_offers_nothing(rig: Rig) -> None:
    """Who is not an approver, or asked themselves, sees no buttons; who asked sees how it stands."""
    await rig.house.propose("CHG-8", behind="robin")
    kim, robin = await home(rig, "UKIM"), await home(rig, "UROBIN")

    assert "Nothing waits for you" in said(kim["blocks"])
    assert not [block for block in kim["blocks"] if block["type"] == "actions"]
    assert "Waiting for you: 1" in said(robin["blocks"])
    assert "What you asked for\n• ⏳ Approval needed: “Roll out CHG-7”" in said(robin["blocks"])


async def test_strangers_see_how_to_be_mapped(rig: Rig) -> None:
    """The tab of somebody nobody mapped holds nothing of any request."""
    told = said((await home(rig, "UGHOST"))["blocks"])

    assert "map Slack user UGHOST (team T1)" in told
    assert "Roll out" not in told


async def test_approving_on_home_decides_and_draws_it_anew(rig: Rig) -> None:
    """A click there is a decision like any other, and the tab shows what became of it before the ack."""
    view = await home(rig, "UDANA")
    clicked = await press(rig, "UDANA", view, "Approve")
    told = said((await home(rig, "UDANA", opens=False))["blocks"])

    assert (clicked["status"], clicked["warning"]) == (200, None)
    assert (await rig.stored()).request.status == "approved"  # type: ignore[union-attr]
    assert "Nothing waits for you" in told
    assert "What you decided lately\n• You answered *Approve*, <!date^" in told


async def test_rejecting_on_home_asks_why_and_draws_it_anew(rig: Rig) -> None:
    """A reason the policy requires is asked for there too."""
    await press(rig, "UDANA", await home(rig, "UDANA"), "Reject")
    view = (await rig.get("views", user="UDANA"))[-1]
    await rig.act("submit", "UDANA", view_id=view["id"], values={"loopgate.reason": {"reason": "too risky"}})
    told = said((await home(rig, "UDANA", opens=False))["blocks"])

    assert (await rig.stored()).request.status == "rejected"  # type: ignore[union-attr]
    assert "You answered *Reject*" in told
    assert "Nothing waits for you" in told


async def test_a_double_click_on_home_counts_once(rig: Rig) -> None:
    """Slack may deliver a click twice; one decision is recorded and the tab is right."""
    view = await home(rig, "UDANA")
    clicked = await press(rig, "UDANA", view, "Approve")
    await rig.sandbox.post("/sandbox/duplicate", json={"delivery_id": clicked["delivery_id"]})

    request = (await rig.stored()).request
    assert request is not None
    assert len(request.decisions) == 1
    assert "Nothing waits for you" in said((await home(rig, "UDANA", opens=False))["blocks"])


async def test_a_late_click_on_an_old_home_is_answered(rig: Rig) -> None:
    """Somebody else was faster: the click is told so privately, and the tab is drawn anew."""
    view = await home(rig, "UDANA")
    await rig.house.engine.answer(an_answer(rig.request, "approve", "sam"), tenant=TENANT)
    await press(rig, "UDANA", view, "Approve")

    assert rig.gate.outcomes[-1].code == "already_decided"  # type: ignore[union-attr]
    assert "Nothing waits for you" in said((await home(rig, "UDANA", opens=False))["blocks"])


async def test_a_newer_tab_is_not_overwritten_by_an_older_one(rig: Rig) -> None:
    """A tab that was published meanwhile is read anew, so that the last one published is as things stand."""
    view = await home(rig, "UDANA")
    await rig.client.views_publish(user_id="UDANA", view={"type": "home", "blocks": view["blocks"]})
    published = len(await rig.get("calls", method="views.publish"))
    row = next(block for block in view["blocks"] if block["type"] == "actions")
    clicked = await rig.act(
        "click", "UDANA", view_id=view["id"], action_id="loopgate.answer.approve.0", block_id=row["block_id"]
    )

    calls = (await rig.get("calls", method="views.publish"))[published:]
    assert clicked["status"] == 200
    assert calls[-1]["error"] is None
    assert "Nothing waits for you" in said((await home(rig, "UDANA", opens=False))["blocks"])


async def test_a_decision_stands_where_the_tab_cannot_be_drawn(rig: Rig) -> None:
    """Slack refusing the tab takes nothing back and fails no click."""
    view = await home(rig, "UDANA")
    await rig.fault("views.publish", "error", error="internal_error")
    clicked = await press(rig, "UDANA", view, "Approve")

    assert clicked["status"] == 200
    assert (await rig.stored()).request.status == "approved"  # type: ignore[union-attr]


async def test_home_while_the_store_is_away_says_so(rig: Rig) -> None:
    """A tab that cannot be read says so instead of showing yesterday's."""
    rig.gate.is_away = True

    assert "could not look this up" in said((await home(rig, "UDANA"))["blocks"])


async def test_the_tab_of_who_looks_follows_what_others_do(rig: Rig) -> None:
    """Decided by somebody else, the tab of everybody who opened theirs lately is drawn anew; nobody else's is."""
    await home(rig, "UDANA")
    published = len(await rig.get("calls", method="views.publish"))
    await rig.house.engine.answer(an_answer(rig.request, "approve", "sam"), tenant=TENANT)
    await Following(rig.home, Standings("1")).once()

    assert len(await rig.get("calls", method="views.publish")) == published + 1
    assert "Nothing waits for you" in said((await home(rig, "UDANA", opens=False))["blocks"])


class Standings:
    """Says, one after another, how things stand; the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def __call__(self) -> object:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def test_tabs_are_drawn_anew_only_where_something_changed(rig: Rig) -> None:
    """Looked at every second, drawn once for each change; what could not be looked at is drawn the next time."""
    await home(rig, "UDANA")
    published = len(await rig.get("calls", method="views.publish"))
    following = Following(rig.home, Standings("1", "1", "2", "2"), tab_s=0)
    for _ in range(4):
        await following.once()

    assert len(await rig.get("calls", method="views.publish")) == published + 2


async def test_an_absence_that_begins_or_ends_is_a_change(rig: Rig) -> None:
    """Declared, ended by hand, or over by the clock alone: each is another standing, and nothing else is."""

    async def latest() -> str:
        return "the same"

    standing = standing_of(rig.gate, TENANT, latest)
    here, still = await standing(), await standing()
    await away(rig.house, "dana", "sam", timedelta(hours=2))
    gone = await standing()
    rig.house.clock.move(timedelta(hours=3))
    back = await standing()

    assert here == still == back != gone


async def test_drawing_tabs_leaves_slacks_limit_to_those_who_open_theirs(rig: Rig) -> None:
    """After a round there is a rest for each tab it drew, however much changes meanwhile."""
    for user in ("UDANA", "USAM"):
        await home(rig, user)
    published = len(await rig.get("calls", method="views.publish"))
    following = Following(rig.home, Standings("1", "1", "2", "3"), tab_s=60)
    for _ in range(3):
        await following.once()

    assert len(await rig.get("calls", method="views.publish")) == published + 2


async def test_what_changes_while_a_tab_is_drawn_is_drawn_before_the_rest(rig: Rig) -> None:
    """Somebody decides on their tab while it is drawn anew from what stood before: that is not left over it."""
    await home(rig, "UDANA")
    published = len(await rig.get("calls", method="views.publish"))
    following = Following(rig.home, Standings("1", "2"), tab_s=60)
    await following.once()

    assert len(await rig.get("calls", method="views.publish")) == published + 2


STAGES = {"approvers": {}, "stages": [{"needs": [{"users": ["dana"]}]}, {"needs": [{"users": ["kim"]}]}]}


@pytest.mark.parametrize("how", ["the next stage", "an escalation", "a hand-over", "somebody is away"])
async def test_a_new_decider_sees_it_on_a_tab_that_was_open_before(how: str) -> None:
    """Kim, whose tab is open, may decide from now on: drawn anew it shows the request, with its buttons."""
    policy: dict[str, Any] = {
        "the next stage": STAGES,
        "an escalation": {"escalate": [{"after": "1h", "groups": ["finance"]}]},
        "a hand-over": {"reassign": "anyone"},
        "somebody is away": {"reassign": "anyone"},
    }[how]
    async with a_rig(a_house(a_change(**policy))) as rig:
        before = said((await home(rig, "UKIM"))["blocks"])
        if how == "the next stage":
            await rig.house.engine.answer(an_answer(rig.request, "approve", "dana"), tenant=TENANT)
        elif how == "an escalation":
            rig.house.clock.move(timedelta(hours=1))
            await rig.house.engine.fall_due((await rig.house.store.due(rig.house.clock.now()))[0])  # type: ignore[attr-defined]
        elif how == "a hand-over":
            ask = {"request_id": rig.request.request_id, "by": person("dana"), "channel": {}, "key": "h"}
            await rig.house.engine.consult(HumanAsk.model_validate({**ask, "to_person": "kim"}), tenant=TENANT)
        else:
            await away(rig.house, "dana", "kim")
        await Following(rig.home, Standings("1")).once()
        view = await home(rig, "UKIM", opens=False)

    assert "Nothing waits for you" in before
    assert "Waiting for you: 1" in said(view["blocks"])
    assert any(block["type"] == "actions" for block in view["blocks"])


async def test_a_later_page_does_not_change_under_the_readers_eyes(rig: Rig) -> None:
    """Who has turned the page is left alone until they come back to the first."""
    for number in range(20):
        await rig.house.propose(f"OPS-{number:02d}")
    await press(rig, "UDANA", await home(rig, "UDANA"), "Next")
    published = len(await rig.get("calls", method="views.publish"))
    await rig.home.draw_again()
    assert len(await rig.get("calls", method="views.publish")) == published
    await press(rig, "UDANA", await home(rig, "UDANA", opens=False), "← Previous")
    await rig.home.draw_again()

    assert len(await rig.get("calls", method="views.publish")) == published + 2


async def test_home_pages_through_all_that_waits(rig: Rig) -> None:
    """What does not fit on one page stands on the next, once each; deciding there leaves the reader on that page."""
    for number in range(20):
        await rig.house.propose(f"OPS-{number:02d}")
    first = await home(rig, "UDANA")
    turned = await press(rig, "UDANA", first, "Next")
    second = await home(rig, "UDANA", opens=False)
    titles = [re.findall(r"\*Roll out (\S+)\*", said(view["blocks"])) for view in (first, second)]

    assert (turned["status"], turned["warning"]) == (200, None)
    assert "Waiting for you: 21" in said(first["blocks"])
    assert "Page 2 of 2" in said(second["blocks"])
    assert [len(page) for page in titles] == [15, 6]
    assert rig.request.request_id in json.dumps(second["blocks"])
    await press(rig, "UDANA", second, "Approve", about=rig.request.request_id)
    after = said((await home(rig, "UDANA", opens=False))["blocks"])
    assert "Waiting for you: 20" in after
    assert "Page 2 of 2" in after


@pytest.mark.parametrize("page", ["0", "-1", "99", "²", "", "9" * 5_000, "1; drop"])
def test_a_page_there_is_not_shows_one_there_is(page: str) -> None:
    """A page number that came back altered shows the first page, one too high the last."""
    standing = Standing(person("dana"), [waiting()], [], [], [], has_more=False)

    assert home_view(standing, page_named(page))["private_metadata"] == "1"


@pytest.mark.parametrize("how", ["edit", "withdraw"])
async def test_every_window_opened_from_home_draws_it_anew(how: str) -> None:
    """Edited and approved, or withdrawn, from the tab: what it shows afterwards is what stands."""
    policy = {"editable": {"replicas": {"type": "integer", "minimum": 1}}, "separation": []}
    async with a_rig(a_house(a_change(**policy)), behind="dana") as rig:
        view = await home(rig, "UDANA")
        if how == "edit":
            await press(rig, "UDANA", view, "Edit and approve")
            values: dict[str, Any] = {"loopgate.edit.0": {"value": "8"}}
        else:
            row = next(block for block in view["blocks"] if block["type"] == "actions")
            chosen = More(request_id=rig.request.request_id, verb="back").encode()
            place = {"view_id": view["id"], "block_id": row["block_id"], "action_id": "loopgate.more"}
            await rig.act("click", "UDANA", value=chosen, **place)
            values = {}
        window = (await rig.get("views", user="UDANA"))[-1]
        submitted = await rig.act("submit", "UDANA", view_id=window["id"], values=values)

        assert (submitted["status"], submitted["warning"]) == (200, None)
        assert "Nothing waits for you" in said((await home(rig, "UDANA", opens=False))["blocks"])


@pytest.mark.parametrize("text", ["<!channel> *b* `c` " * 400, "😀" * 3_000, ""])
def test_whatever_requests_hold_slack_takes_the_tab(text: str) -> None:
    """Hostile and huge titles, facts and names stay within Slack's limits and mention nobody."""
    facts = tuple(Fact(label=text, value=text) for _ in range(200))
    subject = waiting()
    subjects = [
        with_request(subject, title=text, facts=facts, request_id=f"ar_{number}", loop_name=text)
        for number in range(120)
    ]
    view = home_view(Standing(person("dana"), subjects, subjects[:6], subjects[:6], subjects, has_more=True))

    checked_view(view, "home")
    assert not [found for found in mrkdwn_texts(view["blocks"]) if "<!" in found or "`c`" in found]
    assert len(repr(view)) < 250_000


async def test_a_quorum_on_home_shows_how_far_it_is() -> None:
    """With more than one approval needed, the tab says how many there are, and leaves once mine is given."""
    async with a_rig(a_house(a_change(quorum=2))) as rig:
        await rig.house.engine.answer(an_answer(rig.request, "approve", "sam"), tenant=TENANT)
        view = await home(rig, "UDANA")

        assert "1 of 2 approvals" in said(view["blocks"])
        rig.house.clock.move(timedelta(hours=5))
        assert "Nothing waits for you" in said((await home(rig, "UDANA"))["blocks"])
