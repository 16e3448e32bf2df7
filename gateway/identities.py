"""
Identities: who of the configured people stands behind a channel's account.

Each way of knowing fits `loops.ports.Identities`; a self-service sign-in will be one more. All of them are asked, and
they must not disagree: whoever is recognised as two people is nobody.
"""

from collections.abc import Collection, Sequence

from loops.ports import Account, Directory, Identities


class ByConfiguration:
    """Knows accounts that `loopgate.yaml` maps to a person by the channel's own id."""

    def __init__(self, people: Directory) -> None:
        self._people = people

    async def behind(self, tenant: str, account: Account) -> str | None:
        """Return the id of the person whose account it is."""
        person = await self._people.behind(tenant, account.identity)
        return person.person_id if person else None


class ByEmail:
    """Knows accounts by their confirmed address, in one of *domains*, where it names one person of `loopgate.yaml`."""

    def __init__(self, people: Directory, domains: Collection[str]) -> None:
        self._people = people
        self._domains = frozenset(domain.lower() for domain in domains)

    async def behind(self, tenant: str, account: Account) -> str | None:
        """Return the id of the one person called by the account's address; None where that is several."""
        email = (account.email or "").lower()
        if not is_of(email, self._domains):
            return None
        person = await self._people.called(tenant, email)
        return person.person_id if person else None


async def recognised(ways: Sequence[Identities], tenant: str, account: Account) -> str | None:
    """Return the id of the person behind *account*; None for nobody, and where *ways* name several."""
    found = {person_id for way in ways if (person_id := await way.behind(tenant, account))}
    return found.pop() if len(found) == 1 else None


def is_of(email: str, domains: Collection[str]) -> bool:
    """Return whether *email* is an address in one of *domains* itself; a sub-domain is another domain."""
    name, _, domain = email.rpartition("@")
    return bool(name) and "@" not in name and email.isascii() and domain in domains
