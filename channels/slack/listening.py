"""What every listener works with: the gate, who is who, and a bounded way to tell one person something at once."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import structlog
from slack_bolt import BoltResponse
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.channel import tell_privately
from channels.slack.deliveries import Click, Command, Submission
from channels.slack.identity import Who, who_acted
from channels.slack.installation import SlackInstallation
from channels.slack.members import Members
from channels.slack.ports import Gate
from channels.slack.usergroups import UserGroups
from loops.actors import Human
from loops.approvals import ApprovalRequest
from loops.errors import StoreUnavailable, Unavailable
from loops.events import Event
from loops.naming import names_in, names_of
from loops.ports import Directory, Loaded

#: Slack gives up on a delivery after 3 s (docs.slack.dev, interactivity/handling-user-interaction). A listener spends
#: at most this many seconds in all, whatever is away; the rest is the network's, there and back.
PATIENCE_S = 2.5
#: Of that: who somebody is and the commit; looking a request up; opening a view; a private word.
ANSWER_S = 1.8
LOAD_S = 0.8
VIEW_S = 2.0
TELL_S = 1.0

#: What the SDK raises when Slack cannot be reached or refuses.
SLACK_ERRORS = (Unavailable, SlackClientError, aiohttp.ClientError, TimeoutError, OSError, ValueError)

T = TypeVar("T")

log = structlog.get_logger("channels.slack")


@dataclass(frozen=True, slots=True)
class Desk:
    """
    The parts listeners share. `tenant` is whose requests this installation shows; `members` knows who of the workspace
    may decide, and `user_groups` who is in those that give rights, where that is not left to the directory.
    """

    installation: SlackInstallation
    client: AsyncWebClient
    gate: Gate
    directory: Directory
    tenant: str
    members: Members | None = None
    user_groups: UserGroups | None = None

    async def human(self, delivery: Click | Submission | Command) -> Human | None:
        """Return who acted, or None for somebody unmapped, from elsewhere, or whom Slack says may not decide."""
        found = await self.who(delivery)
        return found.human

    async def who(self, delivery: Click | Submission | Command) -> Who:
        """Return who acted, as far as it is known without asking Slack. May raise StoreUnavailable."""
        team_id = self.installation.team_id
        return await soon(who_acted(self.directory, self.members, self.tenant, team_id, delivery), LOAD_S)

    async def names(self, request: ApprovalRequest) -> Mapping[str, str]:
        """Return what those who may decide *request* are called, by id; nothing where that cannot be found out now."""
        try:
            return await soon(names_of(self.directory, self.tenant, request), LOAD_S)
        except Unavailable:
            return {}

    async def names_in(self, events: Iterable[Event]) -> Mapping[str, str]:
        """Return what those are called whom *events* name by id alone; nothing where that cannot be found out now."""
        try:
            return await soon(names_in(self.directory, self.tenant, events), LOAD_S)
        except Unavailable:
            return {}

    async def load(self, request_id: str) -> Loaded | None:
        """Return a request with its instance. May raise StoreUnavailable."""
        return await soon(self.gate.load_request(self.tenant, request_id), LOAD_S)

    async def open(self, trigger_id: str, view: dict[str, Any], deadline: float) -> bool:
        """Open a modal before *deadline*: in the request's own task, as a trigger lives 3 s. Says if it opened."""
        left = deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(VIEW_S, max(0.0, left))):
                await self.client.views_open(trigger_id=trigger_id, view=view)
        except SLACK_ERRORS as error:
            log.warning("slack.view.not_opened", error=type(error).__name__)
            return False
        return True

    async def tell(self, address: Mapping[str, Any], text: str, deadline: float) -> bool:
        """Tell the person at *address* privately before *deadline* (the loop's time). Never raises; says if it went."""
        user = address.get("slackUserId")
        left = deadline - asyncio.get_running_loop().time()
        if not isinstance(user, str) or left <= 0:
            return False
        try:
            async with asyncio.timeout(min(TELL_S, left)):
                await tell_privately(self.client, address, user, text)
        except SLACK_ERRORS as error:
            log.warning("slack.private_word.failed", error=type(error).__name__)
            return False
        return True


def started() -> float:
    """Return the loop time at which a listener that starts now must have answered."""
    return asyncio.get_running_loop().time() + PATIENCE_S


async def soon(work: Awaitable[T], seconds: float) -> T:
    """Await *work*, turning a time-out into StoreUnavailable: what takes that long is away, and its result unknown."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise StoreUnavailable(f"no answer within {seconds:g} s") from error


def done(body: dict[str, Any] | str = "") -> BoltResponse:
    """Return the ack; *body* is what a submission or command answers."""
    return BoltResponse(status=200, body=body)


def failed(code: str) -> BoltResponse:
    """Return the answer to what could not be done: never 200, so that Slack itself shows that it went wrong."""
    return BoltResponse(status=500, body={"error": code})
