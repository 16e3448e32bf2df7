"""What the directory says of people is what Slack said lately; what it did not say is in doubt, never granted."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from builders import TENANT

from channels.memory import MemoryKnowledge
from channels.slack.roster import Member, Roster
from gateway.configuration import PersonConfig
from gateway.directory import ConfiguredDirectory
from gateway.slack_directory import SlackDirectory
from loops.ports import ChannelIdentity, Person

PEOPLE = [
    PersonConfig(id="dana", name="Dana", slack="UDANA", groups=("ops",)),
    PersonConfig(id="sam", name="Sam", aliases=("sam@acme.com",)),
    PersonConfig(id="ada", name="Ada", groups=("ops",)),
]


def a_directory(roster: Roster, *, domains: tuple[str, ...] = ("acme.com",)) -> SlackDirectory:
    """Return the directory on *roster*: sre is a Slack user group, ops is not."""
    return SlackDirectory(ConfiguredDirectory(PEOPLE, "T1"), roster, groups={"sre": "S1"}, email_domains=domains)


@pytest.fixture
def roster() -> Roster:
    """What Slack said: nothing yet."""
    return Roster(MemoryKnowledge(), "T1")


async def told(roster: Roster, user: str, **flags: Any) -> None:
    """Let Slack say something about *user*, as an event does."""
    await roster.member_changed(Member.model_validate({"id": user, "team_id": "T1", **flags}))


async def known(directory: SlackDirectory, person_id: str) -> Person:
    """Return the person."""
    person = await directory.person(TENANT, person_id)
    assert person is not None
    return person


async def test_what_slack_did_not_say_is_in_doubt(roster: Roster) -> None:
    """Nobody known, no group known: groups of the configuration stand, everything else waits."""
    dana = await known(a_directory(roster), "dana")

    assert (dana.is_confirmed, dana.barred, dana.groups, dana.doubtful) == (False, None, {"ops"}, {"sre"})


async def test_members_of_the_user_group_are_in_the_group(roster: Roster) -> None:
    """Removed from it, they are not; and between the event and the answer that is in doubt."""
    directory = a_directory(roster)
    await told(roster, "UDANA")
    await roster.keep_group("S1", ["UDANA"], 0)
    first = await known(directory, "dana")
    await roster.group_changed("S1")
    between = await known(directory, "dana")
    await roster.keep_group("S1", ["UDANA"], 0)
    late = await known(directory, "dana")
    await roster.keep_group("S1", [], await roster.turn("group", "S1"))
    after = await known(directory, "dana")

    assert [each.groups for each in (first, between, late, after)] == [{"ops", "sre"}, {"ops"}, {"ops"}, {"ops"}]
    assert [each.doubtful for each in (first, between, late, after)] == [set(), {"sre"}, {"sre"}, set()]


@pytest.mark.parametrize(
    ("flags", "barred"),
    [
        ({"deleted": True}, "deleted"),
        ({"is_bot": True}, "bot"),
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"is_stranger": True}, "stranger"),
        ({"team_id": "T9"}, "foreign"),
    ],
)
async def test_who_may_not_decide_is_barred_and_in_no_user_group(
    roster: Roster, flags: Mapping[str, Any], barred: str
) -> None:
    """Being listed in the user group gives a guest nothing."""
    await told(roster, "UDANA", **flags)
    await roster.keep_group("S1", ["UDANA"], 0)
    dana = await known(a_directory(roster), "dana")

    assert (dana.barred, dana.groups) == (barred, {"ops"})


async def test_a_confirmed_address_tells_who_somebody_is(roster: Roster) -> None:
    """Both ways: the account is sam, and sam has the account, with its groups."""
    directory, account = a_directory(roster), ChannelIdentity("slack", "T1", "U9")
    before = await known(directory, "sam")
    await told(roster, "U9", is_email_confirmed=True, profile={"email": "Sam@Acme.com"})
    await roster.keep_group("S1", ["U9"], 0)
    sam, behind = await known(directory, "sam"), await directory.behind(TENANT, account)

    assert (before.is_confirmed, before.identities) == (False, (ChannelIdentity("email", "", "sam@acme.com"),))
    assert (sam.is_confirmed, sam.groups, sam.identities) == (True, {"sre"}, (account,))
    assert behind is not None
    assert behind.person_id == "sam"


@pytest.mark.parametrize(
    "flags",
    [
        {"is_email_confirmed": False},
        {"is_restricted": True},
        {"is_ultra_restricted": True},
        {"is_bot": True},
        {"is_stranger": True},
        {"deleted": True},
        {"team_id": "T9"},
        {"profile": {"email": "sam@evil.com"}},
        {"profile": {"email": "ｓam@acme.com"}},
        {"profile": {"email": None}},
        {"profile": {}},
    ],
)
async def test_an_address_of_anybody_else_tells_nothing(roster: Roster, flags: Mapping[str, Any]) -> None:
    """Not confirmed, of a guest, a bot, a stranger, another workspace, another domain or alphabet: nobody."""
    said = {"is_email_confirmed": True, "profile": {"email": "sam@acme.com"}, **flags}
    await told(roster, "U9", **said)

    assert await a_directory(roster).behind(TENANT, ChannelIdentity("slack", "T1", "U9")) is None
    assert (await known(a_directory(roster), "sam")).identities[0].kind == "email"


async def test_addresses_tell_nothing_unless_switched_on(roster: Roster) -> None:
    """Without `emailDomains` only the configuration's user ids count."""
    await told(roster, "U9", is_email_confirmed=True, profile={"email": "sam@acme.com"})

    assert await a_directory(roster, domains=()).behind(TENANT, ChannelIdentity("slack", "T1", "U9")) is None


async def test_somebody_without_an_account_is_in_no_doubt(roster: Roster) -> None:
    """Who cannot act through Slack has the rights the configuration gives, and no user group."""
    ada = await known(a_directory(roster), "ada")

    assert (ada.is_confirmed, ada.barred, ada.groups, ada.doubtful) == (True, None, {"ops"}, set())


class CountedKnowledge(MemoryKnowledge):
    """Counts how often it is looked into."""

    looks = 0

    async def known(self, team: str, names: Sequence[str]) -> Sequence[str | None]:
        """Look once more."""
        self.looks += 1
        return await super().known(team, names)


async def test_people_are_looked_up_together() -> None:
    """However many a decision depends on, they stand as of one moment; addresses take one look more."""
    knowledge = CountedKnowledge()
    roster = Roster(knowledge, "T1")
    await told(roster, "UDANA")
    await told(roster, "USAM", is_restricted=True, is_email_confirmed=True, profile={"email": "sam@acme.com"})
    await roster.keep_group("S1", ["UDANA", "USAM"], 0)
    plain, by_email = a_directory(roster, domains=()), a_directory(roster)
    knowledge.looks = 0

    found = await plain.people(TENANT, ["dana", "sam", "nobody"])
    after_one = knowledge.looks
    also_found = await by_email.people(TENANT, ["dana", "sam", "ada"])

    assert (after_one, knowledge.looks) == (1, 3)
    assert {name: person.groups for name, person in found.items()} == {"dana": {"ops", "sre"}, "sam": set()}
    assert also_found == {name: await by_email.person(TENANT, name) for name in ("dana", "sam", "ada")}
    assert await by_email.everybody(TENANT) == list(also_found.values())
