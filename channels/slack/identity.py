"""Identity: from a verified Slack user to the human the directory says they are."""

from channels.slack.deliveries import Click, Command, Submission
from channels.slack.evidence import KIND, identity_of
from loops.actors import Human
from loops.ports import Directory


async def human_behind(
    directory: Directory, tenant: str, team_id: str, delivery: Click | Submission | Command
) -> Human | None:
    """
    Return the person who acted, authenticated by Slack, or None: nobody is mapped, or they are of another workspace.

    Raises:
        StoreUnavailable: If the directory keeps its people there.
    """
    identity = identity_of(delivery, team_id)
    if identity is None:
        return None
    person = await directory.behind(tenant, identity)
    return person.as_actor(KIND) if person else None
