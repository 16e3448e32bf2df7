"""Identity: who of us stands behind a Slack user, and whether they may decide, as far as it is known now."""

from dataclasses import dataclass
from typing import Any

from channels.slack.deliveries import Click, Command, Submission
from channels.slack.evidence import KIND, identity_of
from channels.slack.members import Members
from loops.actors import Human
from loops.ports import ChannelIdentity, Directory


@dataclass(frozen=True, slots=True)
class Who:
    """
    Who acted: the person `by`, None where nobody who may decide did.

    `standing` is what keeps a mapped person from deciding: deleted, bot, guest, stranger, foreign. While it is
    ``unverified``, `by` is who it seems to be, if anybody.
    """

    by: Human | None
    standing: str | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether this is known well enough to decide by, one way or the other."""
        return self.standing != "unverified"

    @property
    def human(self) -> Human | None:
        """The person, if it is known that this is one who may decide."""
        return self.by if self.is_confirmed else None

    @property
    def evidence(self) -> dict[str, Any]:
        """What belongs into the evidence about it."""
        return {"slackStanding": self.standing} if self.standing else {}


async def who_acted(
    directory: Directory, members: Members | None, tenant: str, team_id: str, delivery: Click | Submission | Command
) -> Who:
    """
    Return who sent *delivery*; nobody from another workspace than *team_id*. Asks Slack nothing.

    Raises:
        StoreUnavailable: If what is known about people cannot be looked up.
    """
    identity = identity_of(delivery, team_id)
    return await who_is(directory, members, tenant, identity) if identity else Who(None)


async def who_is(directory: Directory, members: Members | None, tenant: str, identity: ChannelIdentity) -> Who:
    """Return who stands behind *identity*, a user of our own workspace. Raises as `who_acted`."""
    person = await directory.behind(tenant, identity)
    found = person.as_actor(KIND) if person else None
    if members is None:
        return Who(found)
    standing = await members.why_not(identity.user)
    if standing == "unverified" and (found or members.recognises_by_email):
        return Who(found, standing)
    return Who(None, standing) if found and standing else Who(found)
