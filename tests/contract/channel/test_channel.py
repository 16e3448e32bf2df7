"""What every channel promises: a card is shown once, follows its request, and people are told things privately."""

import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx2
import pytest
from builders import TENANT, House, People, a_change, a_house, a_person, an_answer
from patience import PATIENCE_S
from pydantic import SecretStr
from unit.slack.rig import BOT_TOKEN, SIGNING_SECRET, workspace

from channels.memory import MemoryChannel
from channels.slack.channel import SlackChannel
from channels.slack.client import slack_client
from channels.slack.installation import SlackInstallation
from loops.approvals import Snooze
from loops.cards import LostCard, Notice
from loops.effects import GivenUp
from loops.errors import Gone, LoopgateError, Rejected, Unavailable
from loops.ports import Channel, Loaded, Person

ADDRESS = {"slackUserId": "UDANA", "slackTeamId": "T1", "slackChannelId": "C1"}


class Watched(Protocol):
    """A channel and what its people see."""

    channel: Channel

    async def cards(self) -> list[str]:
        """Return the status each card shows: waiting, approved or rejected."""

    async def told(self) -> list[str]:
        """Return who was told something privately."""

    async def replies(self) -> list[str]:
        """Return the types of the events told of in threads, in order."""

    async def messages(self) -> list[str]:
        """Return what dana was told directly: types of events, or that she is asked."""

    async def files(self) -> list[bytes]:
        """Return what the files dana was sent hold."""

    async def delete(self, address: Mapping[str, Any]) -> None:
        """Delete the card at *address*, as somebody in the channel may."""

    async def alarms(self) -> list[str]:
        """Return what was said of lost cards."""

    async def fail_next(self, error: LoopgateError, *, after: bool = False) -> None:
        """Let the next call fail so that *error* is what the caller gets, after it did its work or before."""


@dataclass
class WatchedMemory:
    """The memory channel."""

    channel: MemoryChannel

    async def cards(self) -> list[str]:
        """Return what the cards show."""
        shown = [card.subject.request for card in self.channel.cards.values()]
        return ["waiting" if request.is_open else request.status for request in shown if request]

    async def told(self) -> list[str]:
        """Return who was told."""
        return [str(notice.address["slackUserId"]) for notice, _ in self.channel.notices]

    async def replies(self) -> list[str]:
        """Return what was told."""
        return [event.type for _, event in self.channel.replies.values()]

    async def messages(self) -> list[str]:
        """Return what dana was told."""
        return [event.type if event else "asked" for event in self.channel.messages.values()]

    async def files(self) -> list[bytes]:
        """Return what dana was sent."""
        return list(self.channel.files.values())

    async def delete(self, address: Mapping[str, Any]) -> None:
        """Forget the card."""
        del self.channel.cards[address["memory"]]

    async def alarms(self) -> list[str]:
        """Return why each card was lost."""
        return [lost.error for lost in self.channel.alarms.values()]

    async def fail_next(self, error: LoopgateError, *, after: bool = False) -> None:
        """Fail once."""
        self.channel.fail_next(error, after=after)


@dataclass
class WatchedSlack:
    """Slack's channel against the sandbox, a process of its own."""

    channel: SlackChannel
    sandbox: httpx2.AsyncClient

    async def cards(self) -> list[str]:
        """Return what the cards show, by the first line of their status."""
        messages = (await self.sandbox.get("/sandbox/messages", params={"channel": "C1"})).json()["messages"]
        return [
            message["blocks"][1]["text"]["text"].split("*")[1].split()[0].strip(",").lower()
            for message in messages
            if message.get("thread_ts") in {None, "", message["ts"]} and len(message["blocks"]) > 1
        ]

    async def told(self) -> list[str]:
        """Return who was told."""
        ephemerals = (await self.sandbox.get("/sandbox/ephemerals")).json()["messages"]
        return [message["ephemeral_to"] for message in ephemerals]

    async def replies(self) -> list[str]:
        """Return what was told, by what a reply about an approval says."""
        messages = (await self.sandbox.get("/sandbox/messages", params={"channel": "C1"})).json()["messages"]
        said = [message["text"] for message in messages if message.get("thread_ts") not in {None, "", message["ts"]}]
        return ["approval.decision.recorded" if "*Dana* approved" in text else text for text in said]

    async def messages(self) -> list[str]:
        """Return what stands in dana's direct messages, each with the way to a card."""
        messages = (await self.sandbox.get("/sandbox/messages", params={"channel": "DDANA"})).json()["messages"]
        assert all("<https://sandbox.slack.com/archives/C1/p" in message["text"] for message in messages)
        kinds = {"*Dana* approved": "approval.decision.recorded", "Approval needed": "asked"}
        return [next(kind for words, kind in kinds.items() if words in message["text"]) for message in messages]

    async def files(self) -> list[bytes]:
        """Return what the files in dana's direct messages hold."""
        messages = (await self.sandbox.get("/sandbox/messages", params={"channel": "DDANA"})).json()["messages"]
        shared = [file for message in messages for file in message.get("files", ())]
        return [(await self.sandbox.get(file["url_private_download"])).content for file in shared]

    async def delete(self, address: Mapping[str, Any]) -> None:
        """Delete the message."""
        await self.channel._client.chat_delete(channel=address["channel"], ts=address["ts"])

    async def alarms(self) -> list[str]:
        """Return what the fallback channel was told."""
        messages = (await self.sandbox.get("/sandbox/messages", params={"channel": "C1"})).json()["messages"]
        return [each["text"] for each in messages if each["text"].startswith("🚨")]

    async def fail_next(self, error: LoopgateError, *, after: bool = False) -> None:
        """Fail once, by a fault of the sandbox that means *error*."""
        fault: dict[str, Any]
        match error:
            case Unavailable() if after:
                fault = {"kind": "reset_after_accept"}
            case Unavailable(retry_after=None):
                fault = {"kind": "5xx"}
            case Unavailable(retry_after=float() as seconds):
                fault = {"kind": "429", "retry_after_s": int(seconds)}
            case _:
                fault = {"kind": "error", "error": "is_archived"}
        await self.sandbox.post("/sandbox/faults", json={"method": "*", **fault})


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox process."""
    place = tmp_path_factory.mktemp("sandbox")
    config, ready = place / "workspace.json", place / "ready.json"
    config.write_text(workspace("http://127.0.0.1:9").model_dump_json())
    command = [sys.executable, "-m", "channels.slack_sandbox", "--config", str(config), "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        # It says so on its first line once it listens, and the ready file is complete then.
        process.stdout.readline()
        yield str(json.loads(ready.read_text())["url"])
        process.terminate()


@pytest.fixture(params=["memory", "slack"])
async def watched(request: pytest.FixtureRequest) -> AsyncIterator[Watched]:
    """Each implementation of the port."""
    if request.param == "memory":
        yield WatchedMemory(MemoryChannel())
        return
    url = request.getfixturevalue("sandbox_url")
    async with slack_of(url) as made:
        yield made


class slack_of:  # noqa: N801 - reads as what it opens
    """Open Slack's channel against the sandbox at *url*, emptied."""

    def __init__(self, url: str, **installation: Any) -> None:
        self._sandbox = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S)
        fields = {"bot_token": SecretStr(BOT_TOKEN), "bot_user_id": "UBOT", "api_url": f"{url}/api/"} | installation
        self._installation = SlackInstallation("T1", "A1", signing_secret=SecretStr(SIGNING_SECRET), **fields)
        self._client = slack_client(self._installation, factor=1000)

    async def __aenter__(self) -> WatchedSlack:
        await self._sandbox.post("/sandbox/reset", json={})
        await self._sandbox.request("DELETE", "/sandbox/faults")
        await self._sandbox.post("/sandbox/settings", json={"rate_limits": "off"})
        client = await self._client.__aenter__()
        routes = {"sre-approvals": "C1", "closed": "C2"}
        known = {name: a_person(name, "sre") for name in ("dana", "sam", "robin")}
        channel = SlackChannel(
            client, self._installation, routes=routes, default_route="C1", fallback="C1", directory=People(known)
        )
        return WatchedSlack(channel, self._sandbox)

    async def __aexit__(self, *error: Any) -> None:
        await self._client.__aexit__(*error)
        await self._sandbox.aclose()


async def asked(house: House) -> Loaded:
    """Return an open request of *house*, made now: the sandbox's messages carry the real time."""
    house.clock.at = datetime.now(UTC)
    request = await house.propose()
    return await now(house, request.request_id)


async def now(house: House, request_id: str) -> Loaded:
    """Return a request as it stands."""
    subject = await house.store.load_request(TENANT, request_id)
    assert subject is not None
    return subject


async def answered(house: House, subject: Loaded, transition: str, reason: str | None = None) -> Loaded:
    """Return *subject* after Dana's answer."""
    assert subject.request is not None
    await house.engine.answer(an_answer(subject.request, transition, "dana", reason=reason), tenant=TENANT)
    return await now(house, subject.request.request_id)


async def test_a_card_is_shown_and_follows_its_request(watched: Watched) -> None:
    """Posted once, the card shows whatever the request has become at each update."""
    house = a_house()
    subject = await asked(house)
    address = await watched.channel.post(subject, "ef_1", again=False)
    before = await watched.cards()
    await watched.channel.update(await answered(house, subject, "approve"), address)

    assert (before, await watched.cards()) == (["waiting"], ["approved"])
    assert json.loads(json.dumps(address)) == address


async def test_posting_again_finds_what_was_posted(watched: Watched) -> None:
    """The same effect, tried again, is the same card at the same address."""
    subject = await asked(a_house())
    first = await watched.channel.post(subject, "ef_1", again=False)
    again = await watched.channel.post(subject, "ef_1", again=True)
    other = await watched.channel.post(subject, "ef_2", again=True)

    assert first == again != other
    assert await watched.cards() == ["waiting", "waiting"]


async def test_a_post_whose_answer_was_lost_is_not_posted_twice(watched: Watched) -> None:
    """The connection breaks after the card is up: the caller is told to try again, and then finds it."""
    subject = await asked(a_house())
    await watched.fail_next(Unavailable("gone"), after=True)
    with pytest.raises(Unavailable):
        await watched.channel.post(subject, "ef_1", again=False)

    assert await watched.cards() == ["waiting"]
    address = await watched.channel.post(subject, "ef_1", again=True)
    await watched.channel.update(subject, address)
    assert await watched.cards() == ["waiting"]


async def test_posting_again_after_nothing_got_through_posts(watched: Watched) -> None:
    """Looking for a card that never was must not keep it from being shown."""
    subject = await asked(a_house())
    await watched.channel.post(subject, "ef_1", again=True)

    assert await watched.cards() == ["waiting"]


async def test_one_person_is_told_privately(watched: Watched) -> None:
    """A notice reaches the person at its address and nobody else."""
    notice = Notice(code="not_an_approver", message="no", request_id="ar_1", address=ADDRESS)
    await watched.channel.tell(notice, await asked(a_house()))
    await watched.channel.tell(Notice(code="unknown_request", message="no", address=ADDRESS), None)

    assert await watched.told() == ["UDANA", "UDANA"]
    assert await watched.cards() == []


@pytest.mark.parametrize("retry_after", [None, 7.0])
async def test_what_passes_is_unavailable(watched: Watched, retry_after: float | None) -> None:
    """A channel that is away, or says later and when, is to be tried again."""
    subject = await asked(a_house())
    await watched.fail_next(Unavailable("later", retry_after=retry_after))
    with pytest.raises(Unavailable) as error:
        await watched.channel.post(subject, "ef_1", again=False)

    assert error.value.retry_after == retry_after
    assert await watched.cards() == []


async def test_what_does_not_pass_is_rejected(watched: Watched) -> None:
    """A refusal for good is not to be tried again."""
    subject = await asked(a_house())
    await watched.fail_next(Rejected("archived"))

    with pytest.raises(Rejected):
        await watched.channel.post(subject, "ef_1", again=False)


async def test_nothing_is_shown_without_a_request(watched: Watched) -> None:
    """An instance that asks nobody has no card."""
    subject = await asked(a_house())
    bare = Loaded(subject.instance, subject.definition, None)

    with pytest.raises(Rejected, match="no approval request"):
        await watched.channel.post(bare, "ef_1", again=False)


@pytest.mark.parametrize("address", [{}, {"channel": "C1"}, {"memory": 99}, {"channel": "C1", "ts": "1.000001"}])
async def test_an_address_of_nothing_is_rejected(watched: Watched, address: Mapping[str, Any]) -> None:
    """A card that is not there cannot be updated, and trying again will not help."""
    with pytest.raises(Rejected):
        await watched.channel.update(await asked(a_house()), address)


async def test_nobody_can_be_told_without_a_user(watched: Watched) -> None:
    """A notice without a person is rejected, not sent to everybody."""
    with pytest.raises(Rejected):
        await watched.channel.tell(Notice(code="x", message="y", address={"slackChannelId": "C1"}), None)


# Slack's own


async def test_a_card_goes_where_the_policy_routes_it(sandbox_url: str) -> None:
    """The policy's channel name picks the Slack channel; a refusal names what to do."""
    async with slack_of(sandbox_url) as slack:
        unrouted = await asked(a_house(a_change(channel=None)))
        assert (await slack.channel.post(unrouted, "ef_1", again=False))["channel"] == "C1"
        with pytest.raises(Rejected, match=r"'not_in_channel'; invite the app to the channel"):
            await slack.channel.post(await asked(a_house(a_change(channel="closed"))), "ef_2", again=False)


async def test_an_unconfigured_route_is_named(sandbox_url: str) -> None:
    """Without a default, a route nobody configured is refused by name."""
    async with slack_of(sandbox_url) as slack:
        bare = SlackChannel(slack.channel._client, slack.channel._installation, routes={})
        with pytest.raises(Rejected, match=r"channel route 'sre-approvals' is not configured; add it"):
            await bare.post(await asked(a_house()), "ef_1", again=False)


async def test_another_apps_message_is_never_taken_for_our_card(sandbox_url: str) -> None:
    """Whoever copies our metadata into their own message does not keep the card from being posted."""
    subject = await asked(a_house())
    async with slack_of(sandbox_url, bot_user_id="UOTHER") as slack:
        await slack.channel.post(subject, "ef_1", again=False)
        stranger = SlackInstallation(
            "T1", "A-OTHER", SecretStr(BOT_TOKEN), SecretStr(SIGNING_SECRET), "UOTHER", f"{sandbox_url}/api/"
        )
        ours = SlackChannel(slack.channel._client, stranger, routes={}, default_route="C1")
        await ours.post(subject, "ef_1", again=True)

        assert await slack.cards() == ["waiting", "waiting"]


async def test_a_card_is_found_among_hundreds_of_messages(sandbox_url: str) -> None:
    """The search pages through what was said since the request was made."""
    async with slack_of(sandbox_url) as slack:
        subject = await asked(a_house())
        address = await slack.channel.post(subject, "ef_1", again=False)
        for number in range(210):
            await slack.channel._client.chat_postMessage(channel="C1", text=f"noise {number}")

        assert await slack.channel.post(subject, "ef_1", again=True) == address


async def test_a_slack_that_is_not_there_is_unavailable() -> None:
    """A refused connection is to be tried again."""
    installation = SlackInstallation(
        "T1", "A1", SecretStr(BOT_TOKEN), SecretStr(SIGNING_SECRET), "UBOT", "http://127.0.0.1:9/api/"
    )
    async with slack_client(installation) as client:
        channel = SlackChannel(client, installation, routes={}, default_route="C1")
        with pytest.raises(Unavailable, match="could not be reached"):
            await channel.post(await asked(a_house()), "ef_1", again=False)


async def test_a_wrong_token_is_rejected_without_naming_it(sandbox_url: str) -> None:
    """The error says what to check and never shows the token."""
    async with slack_of(sandbox_url, bot_token=SecretStr("xoxb-wrong-secret")) as slack:
        with pytest.raises(Rejected, match=r"'invalid_auth'; check the token") as error:
            await slack.channel.post(await asked(a_house()), "ef_1", again=False)

        assert "wrong-secret" not in str(error.value)


async def test_a_click_without_a_channel_is_answered_by_direct_message(sandbox_url: str) -> None:
    """A button in the Home tab has no channel; its clicker is told in the app's messages."""
    async with slack_of(sandbox_url) as slack:
        await slack.channel.tell(Notice(code="x", message="why", address={"slackUserId": "UDANA"}), None)
        messages = (await slack.sandbox.get("/sandbox/messages", params={"channel": "DDANA"})).json()["messages"]

        assert [message["text"] for message in messages] == [
            "⛔ Your answer was not accepted: why. Nothing was changed by your click."
        ]


async def test_a_reply_stands_once_in_the_cards_thread(watched: Watched) -> None:
    """An attempt whose answer was lost is looked for before another one posts; a reply is no card."""
    house = a_house()
    subject = await asked(house)
    address = await watched.channel.post(subject, "ef_1", again=False)
    subject = await answered(house, subject, "approve")
    events = await house.store.events(TENANT, subject.instance.instance_id)
    event = next(each for each in events if each.type == "approval.decision.recorded")
    await watched.fail_next(Unavailable("gone"), after=True)
    with pytest.raises(Unavailable):
        await watched.channel.reply(subject, event, address, "ef_2", again=False)
    await watched.channel.reply(subject, event, address, "ef_2", again=True)
    await watched.channel.reply(subject, event, address, "ef_3", again=True)

    assert await watched.replies() == ["approval.decision.recorded"] * 2
    with pytest.raises(Rejected):
        await watched.channel.reply(subject, event, {}, "ef_4", again=False)


async def test_a_person_is_messaged_once_for_each_effect(watched: Watched) -> None:
    """Asked, or told of an event, directly; sent again after a lost answer, the message found is left as it is."""
    house = a_house()
    subject = await asked(house)
    address = await watched.channel.post(subject, "ef_1", again=False)
    decided = await answered(house, subject, "approve")
    event = next(
        each
        for each in await house.store.events(TENANT, subject.instance.instance_id)
        if each.type == "approval.decision.recorded"
    )
    dana, stranger = a_person("dana", "sre"), a_person("zoe")
    stranger = Person(stranger.person_id, stranger.name, (), stranger.groups, ())
    await watched.channel.message(dana, subject, None, address, "ef_2", again=False)
    again = await watched.channel.message(dana, subject, None, address, "ef_2", again=True)
    await watched.channel.message(dana, decided, event, address, "ef_3", again=True)

    assert again
    assert not await watched.channel.message(stranger, subject, None, address, "ef_4", again=False)
    assert await watched.messages() == ["asked", "approval.decision.recorded"]
    with pytest.raises(Rejected):
        await watched.channel.message(dana, subject, None, {}, "ef_5", again=False)


async def test_a_copy_of_what_is_proposed_is_byte_for_byte_what_the_digest_covers(watched: Watched) -> None:
    """Each effect sends one file, found again when tried again; nobody unknown to the channel gets one."""
    subject = await asked(a_house())
    dana = a_person("dana", "sre")
    stranger = Person("zoe", "Zoe", (), frozenset(), ())
    for effect_id, again in (("ef_1", False), ("ef_1", True), ("ef_2", True)):
        assert await watched.channel.disclose(dana, subject, effect_id, again=again)

    assert not await watched.channel.disclose(stranger, subject, "ef_3", again=False)
    first, second = await watched.files()
    assert first == second
    assert subject.request is not None
    assert f"sha256:{hashlib.sha256(first).hexdigest()}" == subject.request.digest
    with pytest.raises(Rejected, match="no approval request"):
        await watched.channel.disclose(dana, Loaded(subject.instance, subject.definition, None), "ef_4", again=False)


async def test_a_deleted_card_is_gone(watched: Watched) -> None:
    """Somebody deletes a card: whoever updates it is told exactly that, and can show it anew under another effect."""
    subject = await asked(a_house())
    address = await watched.channel.post(subject, "ef_1", again=False)
    await watched.delete(address)
    with pytest.raises(Gone):
        await watched.channel.update(subject, address)
    await watched.channel.post(subject, "ef_2", again=True)

    assert await watched.cards() == ["waiting"]


async def test_a_lost_card_is_told_of_once(watched: Watched) -> None:
    """An alarm whose answer was lost is looked for before another one is raised; it says which card, and why."""
    subject = await asked(a_house())
    assert subject.request is not None
    lost = LostCard(request_id=subject.request.request_id, effect_id="ef_1", kind="card.post", error="is_archived")
    await watched.fail_next(Unavailable("gone"), after=True)
    with pytest.raises(Unavailable):
        await watched.channel.alarm(lost, subject, "ef_9", again=False)

    assert await watched.channel.alarm(lost, subject, "ef_9", again=True)
    [told] = await watched.alarms()
    assert "is_archived" in told
    assert await watched.cards() == []


async def test_without_a_fallback_channel_nobody_is_told(sandbox_url: str) -> None:
    """Nothing is posted anywhere else, and the caller knows."""
    lost = LostCard(request_id="ar_1", effect_id="ef_1", kind="card.update", error="is_archived")
    async with slack_of(sandbox_url) as slack:
        bare = SlackChannel(slack.channel._client, slack.channel._installation, routes={}, default_route="C1")

        assert not await bare.alarm(lost, None, "ef_9", again=False)
        assert await slack.cards() == []


async def test_an_effect_that_was_given_up_is_told_of_once(sandbox_url: str) -> None:
    """Looked for before it is told again; nothing an error quotes reaches anybody; without a channel nobody is told."""
    subject = await asked(a_house())
    error = "<!channel> no such *service*"
    given_up = GivenUp(effect_id="ef_1", kind="integration.run", what="deployer: rollout", error=error)
    async with slack_of(sandbox_url) as slack:
        await slack.fail_next(Unavailable("gone"), after=True)
        with pytest.raises(Unavailable):
            await slack.channel.alert(given_up, subject, "ef_9", again=False)
        assert await slack.channel.alert(given_up, subject, "ef_9", again=True)
        [told] = await slack.alarms()
        bare = SlackChannel(slack.channel._client, slack.channel._installation, routes={}, default_route="C1")

        assert "deployer: rollout was given up" in told
        assert "<!channel>" not in told
        assert not await bare.alert(given_up, None, "ef_9", again=False)


async def test_a_subscription_that_was_switched_off_is_told_of(sandbox_url: str) -> None:
    """Whoever runs this hears which and why in the channel for alerts; without one the caller knows that nobody did."""
    async with slack_of(sandbox_url) as slack:
        assert await slack.channel.warn("sub_1 to shop.example", "answered 500 <!channel>")
        [told] = await slack.alarms()
        bare = SlackChannel(slack.channel._client, slack.channel._installation, routes={}, default_route="C1")

        assert "A subscription was switched off" in told
        assert "<!channel>" not in told
        assert not await bare.warn("sub_1", "answered 500")


async def test_links_are_unfurled_nowhere_and_nothing_becomes_a_mention(sandbox_url: str) -> None:
    """Cards, replies, alarms: Slack is told to follow no link and to make nothing of a text, in every post there is."""
    async with slack_of(sandbox_url) as slack:
        house = a_house()
        subject = await asked(house)
        address = await slack.channel.post(subject, "ef_1", again=False)
        event = (await house.store.events(TENANT, subject.instance.instance_id))[-1]
        await slack.channel.reply(subject, event, address, "ef_2", again=False)
        await slack.channel.warn("sub_1", "answered 500")
        calls = (await slack.sandbox.get("/sandbox/calls")).json()["calls"]
        posts = [call["args"] for call in calls if call["method"] == "chat.postMessage"]

    assert len(posts) >= 3
    for sent in posts:
        assert sent["parse"] == "none"
        assert not any(sent[switch] for switch in ("unfurl_links", "unfurl_media", "link_names")), sent


async def test_an_alarm_is_text_whatever_the_error_quotes(sandbox_url: str) -> None:
    """What Slack said is shown, never acted on: no mention reaches anybody."""
    lost = LostCard(request_id="ar_1", effect_id="ef_1", kind="card.update", error="<!channel> *bold* <@UDANA>")
    async with slack_of(sandbox_url) as slack:
        await slack.channel.alarm(lost, None, "ef_9", again=False)
        [told] = await slack.alarms()

        assert "<!channel>" not in told
        assert "<@UDANA>" not in told


async def test_an_escalated_card_goes_to_the_route_it_names(sandbox_url: str) -> None:
    """The policy says where the first card stands; the escalation where the other does."""
    async with slack_of(sandbox_url) as slack:
        subject = await asked(a_house())
        first = await slack.channel.post(subject, "ef_1", again=False)
        with pytest.raises(Rejected, match="not_in_channel"):
            await slack.channel.post(subject, "ef_2", again=False, route="closed")

    assert first["channel"] == "C1"


async def test_a_reminder_mentions_the_people_it_waits_for(sandbox_url: str) -> None:
    """Each of them by their own name, and no group; not whoever has put it off."""
    async with slack_of(sandbox_url) as slack:
        house = a_house(a_change(remindAfter="30m"))
        subject = await asked(house)
        assert subject.request is not None
        house.clock.move(timedelta(minutes=30))
        [deadline] = await house.store.due(house.clock.now())  # type: ignore[attr-defined]
        await house.engine.fall_due(deadline)
        reminded = (await house.store.events(TENANT, subject.instance.instance_id))[-1]
        later = Snooze(person="sam", until=house.clock.now() + timedelta(hours=1), channel={})
        snoozed = subject._replace(request=subject.request.changed(snoozes=(later,)))
        address = await slack.channel.post(subject, "ef_1", again=False)
        await slack.channel.reply(snoozed, reminded, address, "ef_2", again=False)
        [said] = await slack.replies()

    assert said == ("⏰ This still waits for a decision (reminder 1 of 3)\nWaiting for <@UDANA>, <@UROBIN>")


@pytest.mark.parametrize(
    ("method", "fault", "shared"),
    [
        ("files.getUploadURLExternal", {"kind": "5xx"}, 0),
        ("files.getUploadURLExternal", {"kind": "reset_after_accept"}, 0),
        ("files.upload", {"kind": "5xx"}, 0),
        ("files.completeUploadExternal", {"kind": "5xx"}, 0),
        ("files.completeUploadExternal", {"kind": "reset_after_accept"}, 1),
    ],
)
async def test_a_file_is_shared_once_wherever_the_connection_breaks(
    sandbox_url: str, method: str, fault: dict[str, Any], shared: int
) -> None:
    """Each of the calls may be lost, or its answer: the caller is told to try again, and then there is one file."""
    subject, dana = await asked(a_house()), a_person("dana", "sre")
    async with slack_of(sandbox_url) as slack:
        await slack.sandbox.post("/sandbox/faults", json={"method": method, **fault})
        with pytest.raises(Unavailable) as doubt:
            await slack.channel.disclose(dana, subject, "ef_1", again=False)
        before = len(await slack.files())
        assert await slack.channel.disclose(dana, subject, "ef_1", again=True)

        assert (before, len(await slack.files())) == (shared, 1)
        # What Slack has accepted it shares a while later: looked for too soon, it would be shared twice.
        assert (doubt.value.retry_after is not None) == (method == "files.completeUploadExternal")


async def test_a_workspace_that_takes_no_files_says_what_to_do(sandbox_url: str) -> None:
    """A refusal for good names the way that is left."""
    async with slack_of(sandbox_url) as slack:
        fault = {"method": "files.getUploadURLExternal", "kind": "error", "error": "file_uploads_disabled"}
        await slack.sandbox.post("/sandbox/faults", json=fault)
        with pytest.raises(Rejected, match=r"'file_uploads_disabled'; .* Details shows all of it page by page"):
            await slack.channel.disclose(a_person("dana", "sre"), await asked(a_house()), "ef_1", again=False)


async def test_the_file_says_what_it_is(sandbox_url: str) -> None:
    """Named by request and version, with its digest beside it, and nobody's words act on Slack."""
    subject = await asked(a_house(a_change(title="Scale <!channel> *now* <https://evil.example|here>")))
    assert subject.request is not None
    async with slack_of(sandbox_url) as slack:
        await slack.channel.disclose(a_person("dana", "sre"), subject, "ef_1", again=False)
        answer = (await slack.sandbox.get("/sandbox/messages", params={"channel": "DDANA"})).json()
        (message,) = answer["messages"]
        (file,) = message["files"]

    request_id = subject.request.request_id
    assert (file["name"], file["title"]) == (f"{request_id}-v1.ef_1.json", f"{request_id}, version 1.json")
    assert message["text"].startswith("📎 *Scale &lt;!channel&gt; ∗now∗ &lt;https://evil.example|here&gt;*\n")
    assert f"`{subject.request.digest.removeprefix('sha256:')}`" in message["text"]
