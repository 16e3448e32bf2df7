"""Deciders: who may decide an approval request now, and what keeps others from it. They look; nothing is decided."""

from collections.abc import Awaitable, Callable, Sequence

from channels.slack.ports import Entitled
from loops.absence import Absence, way_from, ways_to
from loops.actors import Human
from loops.approvals import ApprovalRequest, HumanAnswer
from loops.asked import Asked, concerned
from loops.explaining import explain
from loops.objections import objections
from loops.policy import Need
from loops.ports import Clock, Directory, Loaded, Person
from loops.quorum import Standing, may_fill

#: Rules that whoever only looks cannot meet.
_NOT_ABOUT_PEOPLE = frozenset({"reason_required", "bad_edit"})


class Deciders:
    """
    Asks *directory* who people are, and *absences* who of a tenant is away now.

    Every method may raise `loops.errors.Unavailable`.
    """

    def __init__(
        self, directory: Directory, absences: Callable[[str], Awaitable[Sequence[Absence]]], clock: Clock
    ) -> None:
        self._directory = directory
        self._absences = absences
        self._clock = clock

    async def waiting_for(self, subjects: Sequence[Loaded], by: Human) -> Sequence[Loaded]:
        """Return those of *subjects* whose request *by* could approve now."""
        known: dict[str, Person | None] = {}
        tenants = {each.instance.tenant for each in subjects}
        absences = [absence for tenant in tenants for absence in await self._absences(tenant)]
        return [each for each in subjects if await self._objection(each, by, known, absences) is None]

    async def entitled(self, subject: Loaded) -> Sequence[Entitled]:
        """Return everybody who belongs to the stage that is open, with what keeps them from deciding."""
        request = subject.request
        if request is None:
            return []
        everybody = await self._directory.everybody(subject.instance.tenant)
        absences = await self._absences(subject.instance.tenant)
        known: dict[str, Person | None] = {person.person_id: person for person in everybody}
        asked = await self._asked(subject, request, None, known, absences)
        if not request.answers:
            return []
        needs = request.policy.gates[asked.stage].needs
        named = [person for person in everybody if _belongs(needs, person.person_id, person.groups)]
        taken_over = {each.to_person for each in request.reassignments}
        named += [person for person in everybody if person.person_id in taken_over and person not in named]
        here = {person.person_id for person in named}
        ends = {way[-1].to for person_id in here if (way := way_from(absences, person_id))}
        named += [person for person in everybody if person.person_id in ends - here]
        return [await self._entitled(subject, request, person, known, absences) for person in named]

    async def _entitled(
        self,
        subject: Loaded,
        request: ApprovalRequest,
        person: Person,
        known: dict[str, Person | None],
        absences: Sequence[Absence],
    ) -> Entitled:
        by = person.as_actor("slack")
        away = next((absence for absence in absences if absence.person == person.person_id), None)
        why_not = await self._objection(subject, by, known, absences)
        if not person.is_confirmed:
            why_not = "Slack has not said lately whether they may; an answer of theirs waits until it has"
        found = explain(await self._asked(subject, request, by, known, absences), by, away)
        to = known.get(away.to) if away else None
        return Entitled(
            person,
            why_not,
            in_stead_of=tuple(each.name for each in found.stands_in_for) if found.in_stead_of else (),
            away_until=away.until if away else None,
            away_to=to.name if to else None,
        )

    async def _objection(
        self, subject: Loaded, by: Human, known: dict[str, Person | None], absences: Sequence[Absence]
    ) -> str | None:
        request = subject.request
        offered = next((each for each in request.answers if each.kind != "reject"), None) if request else None
        if request is None or offered is None:
            return "nothing here can be approved"
        answer = HumanAnswer(
            request_id=request.request_id,
            request_version=request.version,
            digest=request.digest,
            transition_id=offered.transition_id,
            by=by,
            channel={},
            key="why-not",
        )
        asked = await self._asked(subject, request, by, known, absences)
        person = known.get(by.user_id)
        if person and person.barred:
            return f"{by.name} may not decide: {person.barred} in Slack"
        found = next((each for each in objections(asked, answer) if each.code not in _NOT_ABOUT_PEOPLE), None)
        return found.message if found else None

    async def _asked(
        self,
        subject: Loaded,
        request: ApprovalRequest,
        by: Human | None,
        known: dict[str, Person | None],
        absences: Sequence[Absence],
    ) -> Asked:
        ways = ways_to(absences, by.user_id) if by and request.policy.reassign != "no" else []
        between = {absence.person: absence for way in ways for absence in way}
        depends_on = concerned(request, by) | between.keys()
        for person_id in depends_on:
            if person_id not in known:
                known[person_id] = await self._directory.person(subject.instance.tenant, person_id)
        people = [person for each in depends_on if (person := known[each]) and not person.barred]
        groups = {person.person_id: person.groups for person in people}
        return Asked(subject, request, groups, self._clock.now(), absences=tuple(between.values()))


def _belongs(needs: Sequence[Need], person_id: str, groups: frozenset[str]) -> bool:
    standing = Standing(frozenset({person_id}), groups)
    return any(may_fill(need, standing) for need in needs)
