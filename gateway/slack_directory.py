"""The directory of people with what Slack says about them now: whether they may decide, in which groups they are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from channels.slack.evidence import EMAIL, KIND
from channels.slack.roster import Member, Roster
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
        return (await self.people(tenant, [person_id])).get(person_id)

    async def people(self, tenant: str, person_ids: Collection[str]) -> Mapping[str, Person]:
        """Return those of *person_ids* who are configured, as Slack says they stand."""
        configured = await self._people.people(tenant, person_ids)
        return {person.person_id: person for person in await self._now(tenant, list(configured.values()))}

    async def called(self, tenant: str, name: str) -> Person | None:
        """Return whom another system means by *name*."""
        return await self._people.called(tenant, name)

    async def everybody(self, tenant: str) -> Sequence[Person]:
        """Return everybody of the configuration, as Slack says they stand."""
        return await self._now(tenant, await self._people.everybody(tenant))

    async def _now(self, tenant: str, people: Sequence[Person]) -> list[Person]:
        """Return *people* as they stand, by one look at the roster; one more where addresses tell who they are."""
        accounts = await self._accounts(tenant, people)
        users = list({account.user: None for theirs in accounts for account in theirs if account.kind == KIND})
        found, within = await self._roster.look(users, list(self._groups.values()))
        members = {user: member for user, member in zip(users, found, strict=True) if member}
        groups = dict(zip(self._groups, within, strict=True))
        return [self._as_said(*each, members, groups) for each in zip(people, accounts, strict=True)]

    def _as_said(
        self,
        person: Person,
        accounts: tuple[ChannelIdentity, ...],
        members: Mapping[str, Member],
        groups: Mapping[str, frozenset[str] | None],
    ) -> Person:
        known = [members[account.user] for account in accounts if account.kind == KIND and account.user in members]
        standings = [(member.id, member.why_not(self._roster.team_id)) for member in known]
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
            zone=next((member.tz for member in known if is_zone(member.tz)), person.zone),
            doubtful=frozenset(name for name, users in groups.items() if users is None and accounts),
        )

    async def _accounts(self, tenant: str, people: Sequence[Person]) -> list[tuple[ChannelIdentity, ...]]:
        """Return the accounts of each of *people*: those configured, and those Slack has for their addresses."""
        emails = [
            [email for email in self._people.names(tenant, person.person_id) if is_of(email, self._domains)]
            for person in people
        ]
        asked = list({email: None for theirs in emails for email in theirs})
        users = dict(zip(asked, await self._roster.accounts(asked), strict=True)) if asked else {}
        return [
            tuple(dict.fromkeys((*person.identities, *self._named(theirs, users))))
            for person, theirs in zip(people, emails, strict=True)
        ]

    def _named(self, emails: Sequence[str], users: Mapping[str, str | None]) -> list[ChannelIdentity]:
        team = self._roster.team_id
        known = [ChannelIdentity(KIND, team, user) for email in emails if (user := users[email])]
        unknown = [ChannelIdentity(EMAIL, "", email) for email in emails if users[email] is None]
        return [*known, *unknown]
