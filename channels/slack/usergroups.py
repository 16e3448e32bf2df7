"""User groups: asking Slack who is in those that give rights, ahead of need and again when Slack says they changed."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.client import raise_ours
from channels.slack.roster import GROUP_LIFETIME, Roster
from loops.errors import LoopgateError, Unavailable

#: How often Slack is asked, a fraction of what is believed.
AGAIN_S = GROUP_LIFETIME.total_seconds() / 3
#: Between two calls, at least: `usergroups.list` is Tier 2, 20 a minute, for all gateways and workers together.
#: Source: docs.slack.dev, reference/methods/usergroups.list.
PACE_S = 6.0

log = structlog.get_logger("channels.slack")


class UserGroups:
    """
    Knows who is in the user groups *groups* (by Slack's ids).

    Args:
        client: From `slack_client`, of the same event loop.
        roster: Where it is kept, for all processes.
    """

    def __init__(self, client: AsyncWebClient, roster: Roster, groups: Iterable[str]) -> None:
        self._client = client
        self._roster = roster
        self._groups = tuple(dict.fromkeys(groups))
        self._news = asyncio.Event()

    async def learn(self) -> None:
        """
        Ask Slack, once for all groups, and keep it. A group that is not there, or disabled, has nobody in it.

        Raises:
            Unavailable, Rejected: If Slack does not tell, or it cannot be kept.
        """
        if not self._groups:
            return
        turns = {group: await self._roster.turn("group", group) for group in self._groups}
        try:
            answer = await self._client.usergroups_list(include_users=True, include_disabled=False)
        except Exception as error:
            raise_ours(error, "ask who is in the user groups")
        told: Any = answer.get("usergroups")
        if not isinstance(told, list):
            raise Unavailable("ask who is in the user groups: Slack told nothing")
        users = {group.get("id"): group.get("users") or [] for group in told if not group.get("date_delete")}
        for group, turn in turns.items():
            await self._roster.keep_group(group, users.get(group, []), turn)

    async def learn_missing(self) -> None:
        """Ask Slack where something is not known. Raises as `learn`."""
        if None in await self._roster.in_groups(self._groups):
            await self.learn()

    async def changed(self, group: str) -> None:
        """Believe nothing about *group* any more, and have it asked for soon. Raises StoreUnavailable."""
        if group in self._groups:
            await self._roster.group_changed(group)
            self._news.set()

    async def stay_informed(self) -> None:
        """Ask, and again before what is known expires and when something changed, until cancelled."""
        while self._groups:
            wait_s = AGAIN_S
            try:
                await self.learn()
            except Unavailable as error:
                wait_s = max(error.retry_after or 0, PACE_S)
            except LoopgateError as error:
                # Refused for good, as without the scope: nobody is in the groups then, and the log says why.
                log.warning("slack.usergroups.unknown", error=str(error))
            await asyncio.sleep(min(wait_s, PACE_S))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait_s - PACE_S)):
                    await self._news.wait()
            self._news.clear()
