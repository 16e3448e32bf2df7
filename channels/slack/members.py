"""
Members: what Slack says about the people of the workspace, and who of them may not decide.

It is kept for `LIFETIME`, learned before it is needed and again whenever Slack says that somebody changed, so that a
click is judged without asking Slack. Nothing known means nothing decided.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.client import raise_ours
from channels.slack.ports import KeptMembers
from loops.errors import LoopgateError, Unavailable

#: How long what Slack said about somebody is believed, and how often it is asked again before that.
LIFETIME, AGAIN_S = timedelta(hours=1), 900.0
#: Between two tries at somebody Slack did not tell about, and between two people: `users.info` is Tier 4, 100 a minute.
#: Source: docs.slack.dev, reference/methods/users.info.
RETRY_S, PACE_S = 1.0, 0.6
#: People asked about at once at the start, before the pace holds.
BURST = 40

#: Why somebody may not decide. `unverified`: nothing is known about them just now.
Standing = Literal["deleted", "bot", "guest", "stranger", "foreign", "unverified"]

log = structlog.get_logger("channels.slack")


class Member(BaseModel):
    """A user as `users.info` and `user_change` give one. Source: docs.slack.dev, reference/objects/user-object."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    team_id: str = ""
    deleted: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False

    def why_not(self, team_id: str) -> Standing | None:
        """Return what about this person keeps them from deciding in the workspace *team_id*, or None."""
        if self.deleted:
            return "deleted"
        if self.is_bot:
            return "bot"
        if self.is_stranger:
            return "stranger"
        if self.is_restricted or self.is_ultra_restricted:
            return "guest"
        return None if self.team_id == team_id else "foreign"


class Members:
    """
    Knows who of a workspace may decide.

    Args:
        client: From `slack_client`, of the same event loop.
        kept: Where it is kept, for all processes.
        team_id: The workspace.
    """

    def __init__(self, client: AsyncWebClient, kept: KeptMembers, team_id: str) -> None:
        self._client = client
        self._kept = kept
        self._team_id = team_id
        self._learning: dict[str, asyncio.Task[None]] = {}

    @property
    def recognises_by_email(self) -> bool:
        """Whether what Slack says about somebody may tell who they are, beside whether they may decide."""
        return False

    async def why_not(self, user: str) -> Standing | None:
        """
        Return what keeps the Slack user from deciding; asks nobody, so it may be called before an ack.

        Where nothing is known that is ``unverified``, and Slack is asked in the background.

        Raises:
            StoreUnavailable: If it cannot be looked up.
        """
        text = await self._kept.member(self._team_id, user)
        member = _read(text) if text else None
        if member is None:
            if user not in self._learning:
                task = self._learning[user] = asyncio.create_task(self._learn_quietly(user))
                task.add_done_callback(lambda _: self._learning.pop(user, None))
            return "unverified"
        return member.why_not(self._team_id)

    async def keep(self, member: Member) -> None:
        """Keep what an event of Slack's says about somebody. Raises StoreUnavailable."""
        await self._kept.keep_member(self._team_id, member.id, member.model_dump_json(), LIFETIME)

    async def learn(self, user: str) -> None:
        """
        Ask Slack about somebody and keep it.

        Raises:
            Unavailable, Rejected: If Slack does not tell, or it cannot be kept.
        """
        try:
            answer = await self._client.users_info(user=user)
        except Exception as error:
            raise_ours(error, f"ask about {user}")
        member = _read(answer.get("user"))
        if member is None or member.id != user:
            raise Unavailable(f"ask about {user}: Slack told about nobody")
        await self.keep(member)

    async def stay_informed(self, users: Iterable[str]) -> None:
        """Ask about *users*, and again before what is known expires, until cancelled. Raises nothing else."""
        known = list(dict.fromkeys(users))
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
        """Return whether there is nothing more to try about *user*."""
        try:
            await self.learn(user)
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


def _read(said: Any) -> Member | None:
    try:
        return Member.model_validate_json(said) if isinstance(said, str) else Member.model_validate(said)
    except ValidationError:
        return None
