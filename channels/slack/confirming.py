"""Confirming: asking Slack at once about people whom what is kept does not tell enough about. A worker's business."""

from collections.abc import Mapping, Sequence
from typing import Any

from channels.slack.evidence import EMAIL, KIND
from channels.slack.identity import who_is
from channels.slack.members import Members
from channels.slack.usergroups import UserGroups
from loops.actors import Human
from loops.ports import ChannelIdentity, Directory


class SlackConfirmer:
    """Fits `loops.ports.Confirmer`. *directory* reads what *members* and *user_groups* keep."""

    def __init__(self, directory: Directory, members: Members, user_groups: UserGroups, team_id: str) -> None:
        self._directory = directory
        self._members = members
        self._user_groups = user_groups
        self._team_id = team_id

    async def who(self, tenant: str, evidence: Mapping[str, Any]) -> tuple[Human | None, Mapping[str, Any]]:
        """Return the person whose click left *evidence*, or None and ``slackStanding``; Slack is always asked."""
        user = evidence.get("slackUserId")
        if not isinstance(user, str) or evidence.get("slackTeamId") != self._team_id:
            return None, {}
        identity = ChannelIdentity(KIND, self._team_id, user)
        await self._members.learn(user)
        found = await who_is(self._directory, self._members, tenant, identity)
        return found.human, found.evidence

    async def learn(self, tenant: str, people: Sequence[str]) -> None:
        """Find out about those of *people*, and about the groups, of whom too little is known."""
        await self._user_groups.learn_missing()
        for person_id in people:
            person = await self._directory.person(tenant, person_id)
            if person and not person.is_confirmed:
                for identity in person.identities:
                    by_email = identity.kind == EMAIL
                    await (self._members.learn_by_email if by_email else self._members.learn)(identity.user)
