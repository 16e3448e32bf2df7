"""People: who an actor is and what they belong to, asked of the directory at the moment it matters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from loops.actors import Actor, Human, System
from loops.approvals import ApprovalRequest, HumanAnswer
from loops.asked import concerned
from loops.ports import Directory, Person


@dataclass(frozen=True, slots=True)
class Concerned:
    """
    Whom judging depends on: the groups of each, those barred from deciding left out.

    `doubts` are the people, and the groups the policy names, about whom too little is known.
    """

    groups: Mapping[str, frozenset[str]]
    doubts: frozenset[str]


class People:
    """What the engine asks the directory. Nothing it says is kept: groups and rights are those of the moment."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def named(self, tenant: str, person_id: str | None) -> Person | None:
        """Return the person *person_id*; None for somebody unknown, and for nobody."""
        return await self._directory.person(tenant, person_id) if person_id else None

    async def everybody(self, tenant: str) -> Sequence[Person]:
        """Return everybody known, to say who could do something."""
        return await self._directory.everybody(tenant)

    async def verified(self, tenant: str, by: Human | None) -> Human | None:
        """Return the person as the directory knows them now; None for somebody unknown, or whom no channel verified."""
        if by is None or by.authenticated_by is None:
            return None
        person = await self._directory.person(tenant, by.user_id)
        return person.as_actor(by.authenticated_by) if person and not person.barred else None

    async def known(self, tenant: str, request: ApprovalRequest, answer: HumanAnswer) -> tuple[HumanAnswer, Concerned]:
        """
        Return the answer with its giver as the directory knows them now, and whom judging it depends on; by one look.

        The answer's evidence says why they may not decide at all, where that is so.
        """
        people = await self._directory.people(tenant, concerned(request, answer.by))
        known = _as_known(answer, people)
        # Without a giver it does not depend on them, whoever they seemed to be.
        return known, _concerned(request, concerned(request, known.by), people)

    async def resolved(self, tenant: str, actor: Actor) -> Actor:
        """Return *actor* with the person behind it named by our id, where another system's name for them is known."""
        if isinstance(actor, (Human, System)) or not actor.on_behalf_of:
            return actor
        person = await self._directory.called(tenant, actor.on_behalf_of)
        return actor.changed(on_behalf_of=person.person_id) if person else actor

    async def concerned(
        self, tenant: str, request: ApprovalRequest, by: Human | None, others: Collection[str] = ()
    ) -> Concerned:
        """
        Return whom judging an act of *by* on *request* depends on, as they stand now.

        It depends on *others* too, where *by* acts in somebody's stead.
        """
        depends_on = concerned(request, by).union(others)
        return _concerned(request, depends_on, await self._directory.people(tenant, depends_on))


def _as_known(answer: HumanAnswer, people: Mapping[str, Person]) -> HumanAnswer:
    by, standing = answer.by, dict(answer.standing)
    if by is not None:
        person = people.get(by.user_id)
        if person and person.barred:
            standing |= {"slackStanding": person.barred}
        via = by.authenticated_by
        by = person.as_actor(via) if person and via and not person.barred else None
    return answer.changed(by=by, channel={**answer.channel, **standing}, standing={})


def _concerned(request: ApprovalRequest, depends_on: Collection[str], known: Mapping[str, Person]) -> Concerned:
    found = [person for each in depends_on if (person := known.get(each))]
    people = [person for person in found if not person.barred]
    named = {group for stage in request.policy.gates for need in stage.needs for group in need.groups}
    unconfirmed = {person.person_id for person in people if not person.is_confirmed}
    doubts = unconfirmed.union(*(person.doubtful & named for person in people))
    return Concerned({person.person_id: person.groups for person in people}, frozenset(doubts))
