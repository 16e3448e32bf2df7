"""`SlackChannel`: shows cards and tells people things through Slack's Web API."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.alarms import ALARM_TYPE, alarm_text, alert_text, warning_text
from channels.slack.blocks import section
from channels.slack.card import EVENT_TYPE, render
from channels.slack.client import CALL_S, raise_ours
from channels.slack.direct import DIRECT_TYPE, direct_text
from channels.slack.evidence import KIND
from channels.slack.files import details_file, suffix
from channels.slack.installation import SlackInstallation
from channels.slack.notices import notice_text
from channels.slack.outgoing import OutgoingClient
from channels.slack.threads import REPLY_TYPE, reply_text
from channels.slack.wording import waiting_for
from loops.cards import LostCard, Notice
from loops.effects import GivenUp
from loops.errors import NotYet, Rejected, Unavailable
from loops.events import Event
from loops.naming import names_in, names_of
from loops.ports import Directory, Loaded, Person

#: How far before the request was made a doubtful post is looked for: Slack's clock and ours need not agree.
LOOK_BACK = timedelta(minutes=10)
#: Messages looked at for a doubtful post, per page and pages. Source: docs.slack.dev, conversations.history, `limit`.
PAGE_SIZE, PAGES_MAX = 200, 10
#: Seconds after which what an upload shared can be seen where it was shared; the number is ours.
SHARED_WITHIN_S = 10.0
#: Links to cards that are remembered.
LINKS_KEPT = 256


#: How everything is posted: no link is followed, and nothing in a text becomes a mention or a link by itself.
AS_WRITTEN: Mapping[str, Any] = {"unfurl_links": False, "unfurl_media": False, "parse": "none", "link_names": False}


class SlackChannel:
    """
    The channel adapter of one installation. Fits `loops.ports.Channel`; an address is ``{channel, ts}``.

    Args:
        client: From `slack_client`, of the same event loop.
        routes: Slack channel ids by the names loop files use.
        default_route: The Slack channel id for requests whose policy names no channel.
        fallback: The Slack channel id where cards that cannot be shown are told of.
        alerts: The one where effects that were given up are told of; without it, the fallback.
        directory: Who people are: what they are called, and whom in Slack a reminder mentions; without it nobody is
            mentioned, and they stand by their ids.
    """

    def __init__(
        self,
        client: OutgoingClient,
        installation: SlackInstallation,
        *,
        routes: Mapping[str, str],
        default_route: str | None = None,
        fallback: str | None = None,
        alerts: str | None = None,
        directory: Directory | None = None,
    ) -> None:
        self._client = client
        self._installation = installation
        self._routes = dict(routes)
        self._default_route = default_route
        self._links: dict[tuple[str, str], str] = {}
        self._fallback = fallback
        self._alerts = alerts or fallback
        self._directory = directory

    async def post(self, subject: Loaded, effect_id: str, *, again: bool, route: str | None = None) -> dict[str, Any]:
        """
        Post the card to *route* or the policy's channel and return ``{channel, ts}``; see `loops.ports.Channel.post`.

        Slack has no idempotency key for posts: the effect id goes into the message's metadata; *again* looks for it.
        """
        message = render(subject, effect_id=effect_id, names=await self._names(subject))
        channel = self._channel_for(subject, route)
        if again and (found := await self._find(channel, effect_id, _made_at(subject))):
            return found
        answer = await self._call(
            f"post the card to {channel}",
            self._client.chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=message.blocks,
                metadata=message.metadata,
                **AS_WRITTEN,
            ),
        )
        return {"channel": answer["channel"], "ts": answer["ts"]}

    async def update(self, subject: Loaded, address: Mapping[str, Any]) -> None:
        """Render the card at *address* anew; see `loops.ports.Channel.update`."""
        message = render(subject, names=await self._names(subject))
        channel, ts = address.get("channel"), address.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise Rejected("the card's address has no channel and ts; it was not posted through Slack")
        # Metadata left out is kept, so the card can still be found by its effect id.
        await self._call(
            f"update the card {ts} in {channel}",
            self._client.chat_update(
                channel=channel, ts=ts, text=message.text, blocks=message.blocks, parse="none", link_names=False
            ),
        )

    async def reply(
        self, subject: Loaded, event: Event, address: Mapping[str, Any], effect_id: str, *, again: bool
    ) -> None:
        """Tell of *event* in the card's thread; see `loops.ports.Channel.reply`."""
        channel, ts = address.get("channel"), address.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise Rejected("the card's address has no channel and ts; it was not posted through Slack")
        if again and await self._is_replied(channel, ts, effect_id):
            return
        text = reply_text(event, subject, await self._names_in(subject, event)) + await self._mentions(subject, event)
        await self._say(f"reply to the card {ts} in {channel}", channel, text, REPLY_TYPE, effect_id, thread_ts=ts)

    async def message(
        self,
        person: Person,
        subject: Loaded,
        event: Event | None,
        address: Mapping[str, Any],
        effect_id: str,
        *,
        again: bool,
    ) -> bool:
        """Send *person* a direct message; see `loops.ports.Channel.message`."""
        user = self._user_of(person)
        if user is None:
            return False
        channel, ts = address.get("channel"), address.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise Rejected("the card's address has no channel and ts; it was not posted through Slack")
        if again and await self._is_messaged(user, effect_id, _made_at(subject)):
            return True
        names = await self._names_in(subject, event) if event else {}
        text = direct_text(subject, event, await self._link(channel, ts), names)
        # A person's id stands for the direct message with them.
        await self._say(f"send a direct message to {user}", user, text, DIRECT_TYPE, effect_id)
        return True

    async def alarm(self, lost: LostCard, subject: Loaded | None, effect_id: str, *, again: bool) -> bool:
        """Tell of a card that cannot be shown in the fallback channel, if there is one; see `loops.ports.Channel`."""
        channel = self._fallback
        if channel is None:
            return False
        since = _made_at(subject) if subject else None
        if again and since and await self._find(channel, effect_id, since, ALARM_TYPE):
            return True
        await self._raise_alarm(channel, effect_id, alarm_text(lost, subject))
        return True

    async def alert(self, given_up: GivenUp, subject: Loaded | None, effect_id: str, *, again: bool) -> bool:
        """Tell of an effect that was given up in the channel for alerts, if there is one; see `loops.ports.Channel`."""
        channel = self._alerts
        if channel is None:
            return False
        since = _made_at(subject) if subject else None
        if again and since and await self._find(channel, effect_id, since, ALARM_TYPE):
            return True
        await self._raise_alarm(channel, effect_id, alert_text(given_up, subject))
        return True

    async def warn(self, what: str, why: str) -> bool:
        """
        Tell in the channel for alerts, if there is one, that the subscription *what* was switched off, and *why*.

        Raises:
            Unavailable, Rejected: As every call.
        """
        if self._alerts is None:
            return False
        await self._raise_alarm(self._alerts, f"warning:{what}", warning_text(what, why))
        return True

    async def _raise_alarm(self, channel: str, effect_id: str, text: str) -> None:
        await self._say(f"raise an alarm in {channel}", channel, text, ALARM_TYPE, effect_id)

    async def _say(
        self, what: str, channel: str, text: str, kind: str, effect_id: str, *, thread_ts: str | None = None
    ) -> None:
        """Post one paragraph, found again by its *kind* and effect after a doubtful attempt."""
        await self._call(
            what,
            self._client.chat_postMessage(
                channel=channel,
                thread_ts=thread_ts,
                text=text,
                blocks=[section(text)],
                metadata={"event_type": kind, "event_payload": {"effect_id": effect_id}},
                **AS_WRITTEN,
            ),
        )

    async def disclose(self, person: Person, subject: Loaded, effect_id: str, *, again: bool) -> bool:
        """
        Upload the proposal into the direct message with *person*; see `loops.ports.Channel.disclose`.

        Only the last of the calls can be seen: a file nobody completes is forgotten by Slack. What it completes it
        shares a while after it has answered (source: slackapi/bolt-js, issue 2115), so a doubtful one rests first.
        """
        user = self._user_of(person)
        if user is None:
            return False
        file = details_file(subject, effect_id)
        opened = await self._call(f"open the direct message with {user}", self._client.conversations_open(users=user))
        channel = opened["channel"]["id"]
        if again and await self._is_shared(channel, effect_id, _made_at(subject)):
            return True
        asked = self._client.files_getUploadURLExternal(filename=file.name, length=len(file.content))
        ticket = await self._call("ask where to upload a file", asked)
        await self._call("upload a file", self._client.upload(ticket["upload_url"], file.content))
        try:
            await self._call(
                f"share a file with {user}",
                self._client.files_completeUploadExternal(
                    files=[{"id": ticket["file_id"], "title": file.title}],
                    # Unlike posts, this takes no person's id.
                    channel_id=channel,
                    initial_comment=file.comment,
                ),
            )
        except NotYet:
            raise
        except Unavailable as error:
            raise Unavailable(str(error), retry_after=max(error.retry_after or 0.0, SHARED_WITHIN_S)) from error
        return True

    def _user_of(self, person: Person) -> str | None:
        team_id = self._installation.team_id
        return next((each.user for each in person.identities if (each.kind, each.team) == (KIND, team_id)), None)

    async def _is_shared(self, channel: str, effect_id: str, made_at: datetime) -> bool:
        def is_it(message: Mapping[str, Any]) -> bool:
            return any(str(file.get("name", "")).endswith(suffix(effect_id)) for file in message.get("files") or ())

        return await self._looked_for(channel, made_at, is_it) is not None

    async def _link(self, channel: str, ts: str) -> str:
        """Return the permanent link of a message; it never changes, and several people may be sent the same."""
        link = self._links.get((channel, ts))
        if link is None:
            what = f"link to the card {ts} in {channel}"
            found = await self._call(what, self._client.chat_getPermalink(channel=channel, message_ts=ts))
            while len(self._links) >= LINKS_KEPT:
                del self._links[next(iter(self._links))]
            link = self._links[channel, ts] = str(found["permalink"])
        return link

    async def _is_messaged(self, user: str, effect_id: str, made_at: datetime) -> bool:
        opened = await self._call(f"open the direct message with {user}", self._client.conversations_open(users=user))
        return await self._find(opened["channel"]["id"], effect_id, made_at, DIRECT_TYPE) is not None

    async def _mentions(self, subject: Loaded, event: Event) -> str:
        """Return the mentions of those a reminder or an escalation waits for: people, never a whole group."""
        waits_for = event.data.get("waitsFor")
        if self._directory is None or not isinstance(waits_for, list):
            return ""
        later = subject.request.snoozes if subject.request else ()
        snoozed = {each.person for each in later if each.until > event.occurred_at}
        users: list[str] = []
        for person_id in waits_for:
            person = await self._directory.person(subject.instance.tenant, person_id)
            known = [each.user for each in person.identities if each.kind == "slack"] if person else []
            users += [] if person_id in snoozed else known[:1]
        return waiting_for(users)

    async def _is_replied(self, channel: str, ts: str, effect_id: str) -> bool:
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await self._call(
                f"look for the reply in {channel}",
                self._client.conversations_replies(
                    channel=channel, ts=ts, include_all_metadata=True, limit=PAGE_SIZE, cursor=cursor
                ),
            )
            messages = page.get("messages") or []
            if any(self._is_ours(each) and _effect_of(each, REPLY_TYPE) == effect_id for each in messages):
                return True
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return False
        return False

    async def tell(self, notice: Notice, subject: Loaded | None) -> None:
        """Tell the clicker what became of their click, where they clicked; see `loops.ports.Channel.tell`."""
        names = await self._names(subject) if subject else {}
        text = notice_text(notice, subject, team_id=self._installation.team_id, names=names)
        user = notice.address.get("slackUserId")
        if not isinstance(user, str):
            raise Rejected("the notice's address names no slackUserId; nobody can be told")
        await self._call(f"tell {user}", tell_privately(self._client, notice.address, user, text))

    async def _names(self, subject: Loaded) -> Mapping[str, str]:
        return await names_of(self._directory, subject.instance.tenant, subject.request)

    async def _names_in(self, subject: Loaded, event: Event) -> Mapping[str, str]:
        return await names_in(self._directory, subject.instance.tenant, [event])

    def _channel_for(self, subject: Loaded, route: str | None) -> str:
        name = route or (subject.request.proposal.policy.channel if subject.request else None)
        channel = self._routes.get(name) if name else self._default_route
        # A route nobody configured must not keep a request from being seen, if there is a default at all.
        channel = channel or self._default_route
        if channel is None:
            named = f"channel route '{name}' is" if name else "no default channel route is"
            raise Rejected(f"{named} not configured; add it under Slack's channels in loopgate.yaml")
        return channel

    async def _find(
        self, channel: str, effect_id: str, made_at: datetime, event_type: str = EVENT_TYPE
    ) -> dict[str, Any] | None:
        return await self._looked_for(channel, made_at, lambda each: _effect_of(each, event_type) == effect_id)

    async def _looked_for(
        self, channel: str, made_at: datetime, is_it: Callable[[Mapping[str, Any]], bool]
    ) -> dict[str, Any] | None:
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await self._call(
                f"look for what was posted in {channel}",
                self._client.conversations_history(
                    channel=channel,
                    include_all_metadata=True,
                    oldest=f"{(made_at - LOOK_BACK).timestamp():.6f}",
                    limit=PAGE_SIZE,
                    cursor=cursor,
                ),
            )
            for message in page.get("messages") or []:
                if self._is_ours(message) and is_it(message):
                    return {"channel": channel, "ts": message["ts"]}
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return None
        return None

    def _is_ours(self, message: Mapping[str, Any]) -> bool:
        # Any app in the channel may put our effect id into its metadata; only our own message is our card.
        return message.get("app_id") == self._installation.app_id or (
            self._installation.bot_user_id is not None and message.get("user") == self._installation.bot_user_id
        )

    async def _call(self, what: str, call: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(CALL_S):
                return await call
        except Exception as error:
            raise_ours(error, what)


async def tell_privately(client: AsyncWebClient, address: Mapping[str, Any], user: str, text: str) -> None:
    """
    Show *text* to *user* alone, where *address* (channel evidence) says they clicked, or as a direct message.

    Raises:
        slack_sdk.errors.SlackClientError, aiohttp.ClientError, OSError: As the SDK does.
    """
    channel = address.get("slackChannelId")
    if isinstance(channel, str) and channel:
        thread_ts = address.get("slackThreadTs")
        await client.chat_postEphemeral(
            channel=channel, user=user, text=text, thread_ts=thread_ts if isinstance(thread_ts, str) else None
        )
    else:
        await client.chat_postMessage(channel=user, text=text, **AS_WRITTEN)


def _made_at(subject: Loaded) -> datetime:
    return subject.request.created_at if subject.request else subject.instance.started_at


def _effect_of(message: Mapping[str, Any], event_type: str) -> object:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != event_type:
        return None
    return (metadata.get("event_payload") or {}).get("effect_id")
