"""`SlackChannel`: shows cards and tells people things through Slack's Web API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.alarms import ALARM_TYPE, alarm_text, alert_text, warning_text
from channels.slack.blocks import section
from channels.slack.card import EVENT_TYPE, render
from channels.slack.client import called
from channels.slack.direct import DIRECT_TYPE, invitation_text, news_text
from channels.slack.evidence import KIND
from channels.slack.files import details_file
from channels.slack.finding import Finder
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
        self._finder = Finder(client, installation)
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
        if again and (found := await self._finder.post(channel, EVENT_TYPE, effect_id, _made_at(subject))):
            return found
        answer = await called(
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
        channel, ts = _place(address)
        # Metadata left out is kept, so the card can still be found by its effect id.
        await called(
            f"update the card {ts} in {channel}",
            self._client.chat_update(
                channel=channel, ts=ts, text=message.text, blocks=message.blocks, parse="none", link_names=False
            ),
        )

    async def reply(
        self, subject: Loaded, event: Event, address: Mapping[str, Any], effect_id: str, *, again: bool
    ) -> None:
        """Tell of *event* in the card's thread; see `loops.ports.Channel.reply`."""
        channel, ts = _place(address)
        if again and await self._finder.reply(channel, ts, REPLY_TYPE, effect_id):
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
        in_stead_of: Sequence[str] = (),
    ) -> bool:
        """Send *person* a direct message; see `loops.ports.Channel.message`."""
        user = self._user_of(person)
        if user is None:
            return False
        channel, ts = _place(address)
        made_at = _made_at(subject)
        if again and await self._finder.post(await self._direct(user), DIRECT_TYPE, effect_id, made_at):
            return True
        link = await self._link(channel, ts)
        if event is None:
            text = invitation_text(subject, person.person_id, link, in_stead_of)
        else:
            text = news_text(subject, event, link, await self._names_in(subject, event))
        # A person's id stands for the direct message with them.
        await self._say(f"send a direct message to {user}", user, text, DIRECT_TYPE, effect_id)
        return True

    async def alarm(self, lost: LostCard, subject: Loaded | None, effect_id: str, *, again: bool) -> bool:
        """Tell of a card that cannot be shown in the fallback channel, if there is one; see `loops.ports.Channel`."""
        return await self._alarmed(self._fallback, alarm_text(lost, subject), subject, effect_id, again=again)

    async def alert(self, given_up: GivenUp, subject: Loaded | None, effect_id: str, *, again: bool) -> bool:
        """Tell of an effect that was given up in the channel for alerts, if there is one; see `loops.ports.Channel`."""
        return await self._alarmed(self._alerts, alert_text(given_up, subject), subject, effect_id, again=again)

    async def warn(self, what: str, why: str) -> bool:
        """
        Tell in the channel for alerts, if there is one, that the subscription *what* was switched off, and *why*.

        Raises:
            Unavailable, Rejected: As every call.
        """
        return await self._alarmed(self._alerts, warning_text(what, why), None, f"warning:{what}", again=False)

    async def _alarmed(
        self, channel: str | None, text: str, subject: Loaded | None, effect_id: str, *, again: bool
    ) -> bool:
        if channel is None:
            return False
        since = _made_at(subject) if subject else None
        if again and since and await self._finder.post(channel, ALARM_TYPE, effect_id, since):
            return True
        await self._say(f"raise an alarm in {channel}", channel, text, ALARM_TYPE, effect_id)
        return True

    async def _say(
        self, what: str, channel: str, text: str, kind: str, effect_id: str, *, thread_ts: str | None = None
    ) -> None:
        """Post one paragraph, found again by its *kind* and effect after a doubtful attempt."""
        await called(
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
        channel = await self._direct(user)
        if again and await self._finder.file(channel, effect_id, _made_at(subject)):
            return True
        asked = self._client.files_getUploadURLExternal(filename=file.name, length=len(file.content))
        ticket = await called("ask where to upload a file", asked)
        await called("upload a file", self._client.upload(ticket["upload_url"], file.content))
        try:
            await called(
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

    async def _link(self, channel: str, ts: str) -> str:
        """Return the permanent link of a message; it never changes, and several people may be sent the same."""
        link = self._links.get((channel, ts))
        if link is None:
            what = f"link to the card {ts} in {channel}"
            found = await called(what, self._client.chat_getPermalink(channel=channel, message_ts=ts))
            while len(self._links) >= LINKS_KEPT:
                del self._links[next(iter(self._links))]
            link = self._links[channel, ts] = str(found["permalink"])
        return link

    async def _direct(self, user: str) -> str:
        """Return the channel of the direct message with *user*."""
        opened = await called(f"open the direct message with {user}", self._client.conversations_open(users=user))
        return str(opened["channel"]["id"])

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

    async def tell(self, notice: Notice, subject: Loaded | None) -> None:
        """Tell the clicker what became of their click, where they clicked; see `loops.ports.Channel.tell`."""
        names = await self._names(subject) if subject else {}
        text = notice_text(notice, subject, team_id=self._installation.team_id, names=names)
        user = notice.address.get("slackUserId")
        if not isinstance(user, str):
            raise Rejected("the notice's address names no slackUserId; nobody can be told")
        await called(f"tell {user}", tell_privately(self._client, notice.address, user, text))

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


def _place(address: Mapping[str, Any]) -> tuple[str, str]:
    channel, ts = address.get("channel"), address.get("ts")
    if not isinstance(channel, str) or not isinstance(ts, str):
        raise Rejected("the card's address has no channel and ts; it was not posted through Slack")
    return channel, ts
