"""The directory of people and groups, as the configuration file names them."""

from collections.abc import Collection, Mapping, Sequence

from gateway.configuration import PersonConfig
from loops.actors import folded
from loops.ports import ChannelIdentity, Person


class ConfiguredDirectory:
    """Knows the people of `loopgate.yaml`. Who is not in there does not exist: unmapped means refused."""

    def __init__(self, people: Sequence[PersonConfig], slack_team: str) -> None:
        known = [(entry.tenant, _person(entry, slack_team)) for entry in people]
        self._people = {(tenant, person.person_id): person for tenant, person in known}
        self._identities = {(tenant, identity): person for tenant, person in known for identity in person.identities}
        self._called_by = {
            (entry.tenant, entry.id): tuple(dict.fromkeys(map(folded, (entry.id, *entry.aliases)))) for entry in people
        }
        self._names = _by_name([(entry, person) for entry, (_, person) in zip(people, known, strict=True)])

    async def behind(self, tenant: str, identity: ChannelIdentity) -> Person | None:
        """Return the person mapped to *identity*, or None."""
        return self._identities.get((tenant, identity))

    async def person(self, tenant: str, person_id: str) -> Person | None:
        """Return the person *person_id*, or None for somebody unknown."""
        return self._people.get((tenant, person_id))

    async def people(self, tenant: str, person_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those of *person_ids* who are known, by id."""
        return {each: person for each in person_ids if (person := self._people.get((tenant, each)))}

    async def called(self, tenant: str, name: str) -> Person | None:
        """Return whom another system means by *name*; None where that is nobody, or more than one."""
        return self._names.get((tenant, folded(name)))

    def names(self, tenant: str, person_id: str) -> tuple[str, ...]:
        """Return the id and the aliases of a person, folded, without those that mean somebody else, too."""
        known = self._called_by.get((tenant, person_id), ())
        return tuple(name for name in known if (tenant, name) in self._names)

    async def everybody(self, tenant: str) -> Sequence[Person]:
        """Return everybody of *tenant*, in the configuration's order."""
        return [person for (owner, _), person in self._people.items() if owner == tenant]


def _by_name(known: Sequence[tuple[PersonConfig, Person]]) -> dict[tuple[str, str], Person]:
    """Return people by everything they are called, names that more than one of them has left out."""
    called: dict[tuple[str, str], Person] = {}
    several: set[tuple[str, str]] = set()
    for entry, person in known:
        for name in {folded(each) for each in (entry.id, entry.name, *entry.aliases, entry.slack) if each}:
            if (entry.tenant, name) in called:
                several.add((entry.tenant, name))
            called[entry.tenant, name] = person
    return {key: person for key, person in called.items() if key not in several}


def _person(entry: PersonConfig, slack_team: str) -> Person:
    identities = [ChannelIdentity("slack", slack_team, entry.slack)] if entry.slack else []
    return Person(
        person_id=entry.id,
        name=entry.name,
        roles=entry.roles,
        groups=frozenset(entry.groups),
        identities=tuple(identities),
        zone=entry.zone,
    )
