"""People: who an actor is and what they belong to, asked of the directory at the moment it matters."""

from loops.actors import Actor, Human, System
from loops.answers import concerned
from loops.approvals import ApprovalRequest
from loops.ports import Directory, Person


class People:
    """What the engine asks the directory. Nothing it says is kept: groups and rights are those of the moment."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def named(self, tenant: str, person_id: str | None) -> Person | None:
        """Return the person *person_id*; None for somebody unknown, and for nobody."""
        return await self._directory.person(tenant, person_id) if person_id else None

    async def verified(self, tenant: str, by: Human | None) -> Human | None:
        """Return the person as the directory knows them now; None for somebody unknown, or whom no channel verified."""
        if by is None or by.authenticated_by is None:
            return None
        person = await self._directory.person(tenant, by.user_id)
        return person.as_actor(by.authenticated_by) if person else None

    async def resolved(self, tenant: str, actor: Actor) -> Actor:
        """Return *actor* with the person behind it named by our id, where another system's name for them is known."""
        if isinstance(actor, (Human, System)) or not actor.on_behalf_of:
            return actor
        person = await self._directory.called(tenant, actor.on_behalf_of)
        return actor.changed(on_behalf_of=person.person_id) if person else actor

    async def groups(self, tenant: str, request: ApprovalRequest, by: Human | None) -> dict[str, frozenset[str]]:
        """Return the groups of everybody known whom judging an act of *by* on *request* depends on."""
        people = {person_id: await self._directory.person(tenant, person_id) for person_id in concerned(request, by)}
        return {person_id: person.groups for person_id, person in people.items() if person}
