"""
The roster: what Slack said about the people and user groups of the workspace, kept for as long as it is believed.

Reading it asks nobody, so it may be done before an ack. Nothing known means nothing decided.
"""

import json
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from channels.slack.ports import Knowledge

#: How long what Slack said is believed where no event says that it changed: about somebody, and about a user group.
MEMBER_LIFETIME, GROUP_LIFETIME = timedelta(hours=1), timedelta(minutes=15)

#: Why somebody may not decide. `unverified`: nothing is known about them just now.
Standing = Literal["deleted", "bot", "guest", "stranger", "foreign", "unverified"]


class Member(BaseModel):
    """
    A user as `users.info` and `user_change` give one; `email` is that of the profile.

    Source: docs.slack.dev, reference/objects/user-object.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    team_id: str = ""
    deleted: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_email_confirmed: bool = False
    email: str = ""
    tz: str = ""

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, said: Any) -> Any:
        profile = said.get("profile") if isinstance(said, dict) else None
        return {"email": profile.get("email") or "", **said} if isinstance(profile, dict) else said

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

    def verified_email(self, team_id: str) -> str | None:
        """Return the address, in lower case, that Slack confirmed of a full member; None of anybody else."""
        is_theirs = self.is_email_confirmed and self.why_not(team_id) is None
        # Other alphabets have letters that look like ours, and fold into them.
        return self.email.lower() if is_theirs and self.email.isascii() and self.email.count("@") == 1 else None


class Roster:
    """What is known about the workspace *team_id*. Every method may raise StoreUnavailable."""

    def __init__(self, knowledge: Knowledge, team_id: str) -> None:
        self._knowledge = knowledge
        self.team_id = team_id

    async def members(self, users: Sequence[str]) -> list[Member | None]:
        """Return what is known about *users*, in their order."""
        return [read_member(text) for text in await self._knowledge.known(self.team_id, [f"member:{u}" for u in users])]

    async def accounts(self, emails: Sequence[str]) -> list[str | None]:
        """Return who has each of *emails*: a user, ``""`` where nobody has, or None where that is not known."""
        return list(await self._knowledge.known(self.team_id, [f"email:{email}" for email in emails]))

    async def in_groups(self, groups: Sequence[str]) -> list[frozenset[str] | None]:
        """Return the users in each of the user *groups*; None where that is not known."""
        _, found = await self.look([], groups)
        return found

    async def look(
        self, users: Sequence[str], groups: Sequence[str]
    ) -> tuple[list[Member | None], list[frozenset[str] | None]]:
        """Return what is known about *users*, and who is in *groups*, by one look."""
        names = [*(f"member:{user}" for user in users), *(f"group:{group}" for group in groups)]
        found = await self._knowledge.known(self.team_id, names)
        members, within = found[: len(users)], found[len(users) :]
        return [read_member(text) for text in members], [_users(text) for text in within]

    async def turn(self, kind: Literal["member", "email", "group"], name: str) -> int:
        """Return what to keep an answer under that Slack is asked for from now on."""
        return await self._knowledge.turn(self.team_id, f"{kind}:{name}")

    async def keep_member(self, member: Member, turn: int) -> None:
        """Keep what Slack answered about somebody, unless an event came in between."""
        await self._knowledge.keep(self.team_id, f"member:{member.id}", turn, member.model_dump_json(), MEMBER_LIFETIME)
        if email := member.verified_email(self.team_id):
            name = f"email:{email}"
            at = await self._knowledge.turn(self.team_id, name)
            await self._knowledge.keep(self.team_id, name, at, member.id, MEMBER_LIFETIME)

    async def keep_nobody(self, email: str, turn: int) -> None:
        """Keep that nobody has the address."""
        await self._knowledge.keep(self.team_id, f"email:{email}", turn, "", MEMBER_LIFETIME)

    async def keep_group(self, group: str, users: Collection[str], turn: int) -> None:
        """Keep who Slack answered is in a group, unless an event came in between."""
        await self._knowledge.keep(self.team_id, f"group:{group}", turn, json.dumps(sorted(users)), GROUP_LIFETIME)

    async def member_changed(self, member: Member) -> None:
        """Keep what an event says about somebody; answers that were on their way are not believed."""
        await self.keep_member(member, await self._knowledge.changed(self.team_id, f"member:{member.id}"))

    async def group_changed(self, group: str) -> None:
        """Believe nothing about a group any more: who is in it has to be asked anew."""
        await self._knowledge.changed(self.team_id, f"group:{group}")


def read_member(said: Any) -> Member | None:
    """Return the user in what Slack, or our store, said; None where there is none."""
    try:
        return Member.model_validate_json(said) if isinstance(said, str) else Member.model_validate(said)
    except ValidationError:
        return None


def _users(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))
