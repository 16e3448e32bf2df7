"""The directory of people with what Slack says about them now: whether they may decide, in which groups they are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from channels.slack.evidence import EMAIL, KIND
from channels.slack.roster import Roster
from gateway.directory import ConfiguredDirectory
from gateway.identities import ByConfiguration, ByEmail, is_of, recognised
from loops.hours import is_zone
from loops.ports import Account, ChannelIdentity, Identities, Person


class SlackDirectory:
    """
    Fits `loops.ports.Directory`. Asks Slack nothing: what the roster does not know is in doubt.

    Args:
        people: Those of the configuration.
        roster: What Slack said.
        groups: The Slack user group behind each of our groups that has one.
        email_domains: Of what domains a confirmed address tells who somebody is; none leaves that to the configuration.
    """

    def __init__(
        self,
        people: ConfiguredDirectory,
        roster: Roster,
        *,
        groups: Mapping[str, str],
        email_domains: Sequence[str] = (),
    ) -> None:
        self._people = people
        self._roster = roster
        self._groups = dict(groups)
        self._domains = frozenset(domain.lower() for domain in email_domains)
        self._ways: Sequence[Identities] = (ByConfiguration(people), ByEmail(people, self._domains))

    async def behind(self, tenant: str, identity: ChannelIdentity) -> Person | None:
        """
        Return the person whom the configuration or a confirmed address names behind *identity*, if they agree.

        As the configuration has them: whether they may decide is for `person` to say.
        """
        email = None
        if self._domains and identity.kind == KIND and identity.team == self._roster.team_id:
            [member] = await self._roster.members([identity.user])
            email = member.verified_email(self._roster.team_id) if member else None
        person_id = await recognised(self._ways, tenant, Account(identity, email))
        return await self._people.person(tenant, person_id) if person_id else None

    async def person(self, tenant: str, person_id: str) -> Person | None:
        """Return the person *person_id* as Slack says they stand."""
        person = await self._people.person(tenant, person_id)
        return await self._now(tenant, person) if person else None

    async def called(self, tenant: str, name: str) -> Person | None:
        """Return whom another system means by *name*."""
        return await self._people.called(tenant, name)

    async def everybody(self, tenant: str) -> Sequence[Person]:
        """Return everybody of the configuration, as Slack says they stand."""
        return [await self._now(tenant, person) for person in await self._people.everybody(tenant)]

    async def _now(self, tenant: str, person: Person) -> Person:
        accounts = await self._accounts(tenant, person)
        users = [account.user for account in accounts if account.kind == KIND]
        found, within = await self._roster.look(users, list(self._groups.values()))
        groups = dict(zip(self._groups, within, strict=True))
        standings = [(member.id, member.why_not(self._roster.team_id)) for member in found if member]
        eligible = {user for user, why_not in standings if why_not is None}
        # An address nobody has looked up is an account that is not known, too.
        is_confirmed = len(standings) == len(accounts)
        is_barred = is_confirmed and accounts and not eligible
        return replace(
            person,
            identities=accounts,
            is_confirmed=is_confirmed,
            barred=standings[0][1] if is_barred else None,
            groups=person.groups | {name for name, users in groups.items() if users and users & eligible},
            zone=next((member.tz for member in found if member and is_zone(member.tz)), person.zone),
            doubtful=frozenset(name for name, users in groups.items() if users is None and accounts),
        )

    async def _accounts(self, tenant: str, person: Person) -> tuple[ChannelIdentity, ...]:
        """Return the accounts of *person*: those configured, and those Slack has for their addresses."""
        emails = [email for email in self._people.names(tenant, person.person_id) if is_of(email, self._domains)]
        if not emails:
            return person.identities
        users = await self._roster.accounts(emails)
        team = self._roster.team_id
        known = [ChannelIdentity(KIND, team, user) for user in users if user]
        unknown = [ChannelIdentity(EMAIL, "", email) for email, user in zip(emails, users, strict=True) if user is None]
        return tuple(dict.fromkeys((*person.identities, *known, *unknown)))
