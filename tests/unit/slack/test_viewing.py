"""Details, the slash command, the Home tab and what nobody asked for, through the real Bolt app over HTTP."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from builders import ANALYSIS, DATA, TENANT, a_house, an_agent, ci
from patience import PATIENCE_S
from unit.slack.rig import Rig, a_rig
from unit.slack.subjects import said
from unit.slack.test_guard import signed

from channels.slack.shown import Shown


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A card waiting for an approval."""
    async with a_rig(a_house()) as made:
        yield made


async def big(rig: Rig, parameters: dict[str, Any]) -> str:
    """Post a second card, with *parameters*, and return its timestamp."""
    data = DATA | parameters
    await rig.house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id="CHG-8", data=data, actor=ci("robin")
    )
    outcome = await rig.house.engine.transition(
        tenant=TENANT,
        aggregate_id="CHG-8",
        transition="submit_analysis",
        actor=an_agent(),
        evidence=ANALYSIS,
    )
    subject = await rig.house.store.load_request(TENANT, outcome.request.request_id)  # type: ignore[union-attr]
    assert subject is not None
    return str((await rig.channel.post(subject, "ef_big", again=False))["ts"])


def page(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the modal on top."""
    return dict(answer["views"][-1])


async def test_details_page_through_large_parameters(rig: Rig) -> None:
    """A quarter of a megabyte is read page by page, forwards and back, in one modal."""
    ts = await big(rig, {"blob": "z" * 240_000})
    first = page(await rig.click("UDANA", "loopgate.details", ts=ts))
    second = page(
        await rig.act(
            "click", "UDANA", view_id=first["id"], action_id="loopgate.page.next", block_id="loopgate.page.bottom"
        )
    )
    back = page(
        await rig.act(
            "click", "UDANA", view_id=first["id"], action_id="loopgate.page.previous", block_id="loopgate.page.top"
        )
    )

    assert "Page 1 of 6" in said(first["blocks"])
    assert "Page 2 of 6" in said(second["blocks"])
    assert (first["id"], said(back["blocks"])) == (second["id"], said(first["blocks"]))
    assert rig.gate.answers == []


async def test_a_double_click_on_next_turns_one_page(rig: Rig) -> None:
    """The second click carries the hash of a page that is gone; it changes nothing and nobody is bothered."""
    ts = await big(rig, {"blob": "z" * 240_000})
    first = page(await rig.click("UDANA", "loopgate.details", ts=ts))
    turn = {"view_id": first["id"], "action_id": "loopgate.page.next", "block_id": "loopgate.page.top"}
    clicked = await rig.act("click", "UDANA", **turn)
    await rig.sandbox.post("/sandbox/clock", json={"advance_s": 1})
    again = (await rig.sandbox.post("/sandbox/duplicate", json={"delivery_id": clicked["delivery_id"]})).json()

    assert again["deliveries"][0]["status"] == 200
    assert [call["error"] for call in await rig.get("calls", method="views.update")] == [None, "hash_conflict"]
    assert "Page 2 of 6" in said((await rig.get("views", user="UDANA"))[-1]["blocks"])


async def test_all_of_it_is_had_as_a_file(rig: Rig) -> None:
    """One click asks for it, on the ledger; the page says that it comes, and a second click asks for nothing more."""
    ts = await big(rig, {"blob": "z" * 240_000})
    first = page(await rig.click("UDANA", "loopgate.details", ts=ts))
    ask = {"view_id": first["id"], "action_id": "loopgate.file", "block_id": "loopgate.page.top"}
    told_once = page(await rig.act("click", "UDANA", **ask))
    for turn in ("next", "previous"):
        again = {"view_id": first["id"], "action_id": f"loopgate.page.{turn}", "block_id": "loopgate.page.top"}
        await rig.act("click", "UDANA", **again)
    told_twice = page(await rig.act("click", "UDANA", **ask))
    loaded = await rig.house.store.load_aggregate(TENANT, "CHG-8")
    assert loaded is not None
    (effect,) = await rig.house.effects(loaded.instance.instance_id, "details.file")

    assert "comes to you as a direct message" in said(told_once["blocks"])
    assert "Send me the file" not in said(told_once["blocks"])
    assert "You have asked for this file before" in said(told_twice["blocks"])
    assert effect.payload["personId"] == "dana"
    assert effect.payload["address"]["slackUserId"] == "UDANA"
    assert (await rig.house.event_types(loaded.instance.instance_id)).count("approval.details.requested") == 1


async def test_what_can_be_read_at_once_is_no_file(rig: Rig) -> None:
    """A page or two are read where they are."""
    ts = await big(rig, {"blob": "z" * 60_000})
    two = page(await rig.click("UDANA", "loopgate.details", ts=ts))

    assert "Page 1 of 2" in said(two["blocks"])
    assert "Send me the file" not in said(two["blocks"])


async def test_a_file_is_for_people_we_know(rig: Rig) -> None:
    """Somebody taken off the list while the modal was open is told why, and nothing is asked for."""
    ts = await big(rig, {"blob": "z" * 240_000})
    first = page(await rig.click("UDANA", "loopgate.details", ts=ts))
    del rig.house.people.known["dana"]
    ask = {"view_id": first["id"], "action_id": "loopgate.file", "block_id": "loopgate.page.top"}
    told = page(await rig.act("click", "UDANA", **ask))
    loaded = await rig.house.store.load_aggregate(TENANT, "CHG-8")
    assert loaded is not None

    assert "shown to people Loopgate knows" in said(told["blocks"])
    assert await rig.house.effects(loaded.instance.instance_id, "details.file") == []


async def test_details_are_for_people_we_know(rig: Rig) -> None:
    """The complete parameters are not shown to somebody nobody mapped."""
    told = page(await rig.click("UGHOST", "loopgate.details"))

    assert "checkout" not in said(told["blocks"])
    assert "shown to people Loopgate knows" in said(told["blocks"])


async def test_details_while_the_store_is_away_says_so(rig: Rig) -> None:
    """Details that cannot be loaded are answered with a word."""
    rig.gate.is_away = True
    click = await rig.click("UDANA", "loopgate.details")

    assert click["status"] == 500
    assert "could not look this up" in (await rig.whispers("UDANA"))[0]


async def test_the_home_tab_is_published(rig: Rig) -> None:
    """Opening the Home tab shows what this is."""
    await rig.act("home", "UDANA")
    home = (await rig.sandbox.get("/sandbox/home", params={"user": "UDANA"})).json()["view"]

    assert "Every answer is recorded with your name" in said(home["blocks"])


async def test_events_and_buttons_nobody_asked_for_are_acknowledged(rig: Rig) -> None:
    """A link button or a subscribed event without a listener is acknowledged, so Slack shows no warning."""
    link = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Docs"},
        "action_id": "x",
        "url": "https://e.example",
    }
    await rig.client.chat_update(
        channel="C1", ts=rig.address["ts"], text="x", blocks=[{"type": "actions", "elements": [link]}]
    )
    clicked = await rig.click("UDANA", "x")
    written = await rig.act("message", "UDANA", channel="C1", text="hello")

    assert (clicked["status"], clicked["warning"], written["status"]) == (200, None, 200)


async def post(rig: Rig, body: dict[str, Any]) -> httpx2.Response:
    """Post *body* to the gateway, signed with the real secret now."""
    raw = json.dumps(body).encode()
    now = datetime.now(UTC)
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        return await client.post(
            f"{rig.gateway_url}/slack/events",
            content=raw,
            headers=signed(raw, now, "signing-secret") | {"Content-Type": "application/json"},
        )


async def test_another_apps_delivery_is_refused(rig: Rig) -> None:
    """A delivery for another app, though signed, decides nothing: 403."""
    click = {
        "type": "block_actions",
        "user": {"id": "UDANA", "team_id": "T1"},
        "team": {"id": "T1"},
        "api_app_id": "A9",
        "container": {"type": "message", "message_ts": rig.address["ts"], "channel_id": "C1"},
        "actions": [
            {
                "action_id": "loopgate.answer.approve.0",
                "action_ts": "1.0",
                "value": Shown.of(rig.request, transition_id="approve").encode(),
            }
        ],
    }
    foreign = await post(rig, click)
    nobodys = await post(rig, click | {"api_app_id": None})

    assert (foreign.status_code, foreign.json()) == (403, {"error": "another_app"})
    assert nobodys.status_code == 403
    assert rig.gate.answers == []


async def test_the_request_url_can_be_verified(rig: Rig) -> None:
    """Slack's challenge is given back."""
    answer = await post(rig, {"type": "url_verification", "challenge": "3eZbrw1aB", "token": "legacy"})

    assert answer.json() == {"challenge": "3eZbrw1aB"}


async def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that Bolt and the SDK read by themselves have no influence on a click."""
    for name, value in {
        "SLACK_CLIENT_ID": "1.2",
        "SLACK_CLIENT_SECRET": "x",
        "SLACK_BOT_TOKEN": "xoxb-other",
        "SLACK_SIGNING_SECRET": "other",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    async with a_rig(a_house()) as rig:
        await rig.approve("UDANA")
        calls = await rig.get("calls")

        assert (await rig.stored()).request.status == "approved"  # type: ignore[union-attr]
        assert [call["method"] for call in calls] == ["chat.postMessage"]
