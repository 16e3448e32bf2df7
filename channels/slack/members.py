"""
Members: asking Slack about the people of the workspace, before it is needed and again before it is too old.

Slack's events say who changed in between, so that a click is judged without asking Slack.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.client import raise_ours
from channels.slack.roster import MEMBER_LIFETIME, Member, Roster, Standing, read_member
from loops.errors import LoopgateError, Unavailable

#: How often somebody is asked about again, a fraction of what is believed.
AGAIN_S = MEMBER_LIFETIME.total_seconds() / 4
#: How often a process looks whether the asking is its own, and how long it stays with one that died.
INFORMED_EVERY, INFORMED_LEASE = timedelta(seconds=10), timedelta(seconds=30)
#: Between two tries at somebody Slack did not tell about, and between two people: `users.info` is Tier 4, 100 a minute.
#: Source: docs.slack.dev, reference/methods/users.info.
RETRY_S, PACE_S = 1.0, 0.6
#: People asked about at once at the start, before the pace holds.
BURST = 40

log = structlog.get_logger("channels.slack")


class Members:
    """
    Knows who of a workspace may decide.

    Args:
        client: From `slack_client`, of the same event loop.
        roster: Where it is kept, for all processes.
        recognises_by_email: Whether what Slack says about somebody may also tell who they are.
    """

    def __init__(self, client: AsyncWebClient, roster: Roster, *, recognises_by_email: bool = False) -> None:
        self._client = client
        self._roster = roster
        self.recognises_by_email = recognises_by_email
        self._learning: dict[str, asyncio.Task[None]] = {}

    async def why_not(self, user: str) -> Standing | None:
        """
        Return what keeps the Slack user from deciding; asks nobody, so it may be called before an ack.

        Where nothing is known that is ``unverified``, and Slack is asked in the background.

        Raises:
            StoreUnavailable: If it cannot be looked up.
        """
        [member] = await self._roster.members([user])
        if member is None:
            if user not in self._learning:
                task = self._learning[user] = asyncio.create_task(self._learn_quietly(user))
                task.add_done_callback(lambda _: self._learning.pop(user, None))
            return "unverified"
        return member.why_not(self._roster.team_id)

    async def changed(self, member: Member) -> None:
        """Keep what an event of Slack's says about somebody. Raises StoreUnavailable."""
        await self._roster.member_changed(member)

    async def learn(self, user: str) -> None:
        """
        Ask Slack about somebody and keep it.

        Raises:
            Unavailable, Rejected: If Slack does not tell, or it cannot be kept.
        """
        turn = await self._roster.turn("member", user)
        try:
            answer = await self._client.users_info(user=user)
        except Exception as error:
            raise_ours(error, f"ask about {user}")
        member = read_member(answer.get("user"))
        if member is None or member.id != user:
            raise Unavailable(f"ask about {user}: Slack told about nobody")
        await self._roster.keep_member(member, turn)

    async def learn_by_email(self, email: str) -> None:
        """
        Ask Slack who has the address, and keep it; somebody Slack has not confirmed it of does not have it.

        Raises:
            Unavailable, Rejected: If Slack does not tell, or it cannot be kept.
        """
        turn = await self._roster.turn("email", email)
        try:
            answer = await self._client.users_lookupByEmail(email=email)
        except SlackApiError as error:
            if error.response.get("error") != "users_not_found":
                raise_ours(error, f"ask who has {email}")
            await self._roster.keep_nobody(email, turn)
            return
        except Exception as error:
            raise_ours(error, f"ask who has {email}")
        member = read_member(answer.get("user"))
        if member is None:
            raise Unavailable(f"ask who has {email}: Slack told about nobody")
        await self._roster.keep_member(member, await self._roster.turn("member", member.id))
        if member.verified_email(self._roster.team_id) != email:
            await self._roster.keep_nobody(email, turn)

    async def stay_informed(self, users: Iterable[str], emails: Iterable[str] = ()) -> None:
        """
        Ask about *users*, and who has *emails*, again before it expires, until cancelled. Raises nothing else.

        What is learned is kept for all processes, and Slack's limits are theirs together: one of them is enough.
        """
        known = [*dict.fromkeys(users), *dict.fromkeys(emails)]
        pace_s = 0.0 if len(known) <= BURST else PACE_S
        while True:
            missing = known
            while missing:
                missing = [user for user in missing if not await self._learned(user, pace_s)]
                if missing:
                    await asyncio.sleep(RETRY_S)
            pace_s = PACE_S
            await asyncio.sleep(AGAIN_S)

    async def _learned(self, user: str, pace_s: float) -> bool:
        """Return whether there is nothing more to try about *user*, or whoever has that address."""
        try:
            await (self.learn_by_email(user) if "@" in user else self.learn(user))
            await asyncio.sleep(pace_s)
        except Unavailable as error:
            await asyncio.sleep(error.retry_after or 0)
            return False
        except LoopgateError as error:
            # Refused for good, as for somebody who does not exist: they stay unverified.
            log.warning("slack.member.unknown", user=user, error=str(error))
        return True

    async def _learn_quietly(self, user: str) -> None:
        try:
            await self.learn(user)
        except LoopgateError as error:
            log.warning("slack.member.not_learned", user=user, error=str(error))
