"""Who stands behind an account: whichever way it is known, nobody but the one person, and nobody in doubt."""

import pytest
from builders import TENANT

from gateway.configuration import PersonConfig
from gateway.directory import ConfiguredDirectory
from gateway.identities import ByConfiguration, ByEmail, recognised
from loops.ports import Account, ChannelIdentity, Identities

PEOPLE = ConfiguredDirectory(
    [
        PersonConfig(id="dana", name="Dana", slack="UDANA", aliases=("Dana@Acme.com",)),
        PersonConfig(id="sam", name="Sam", aliases=("sam@acme.com", "both@acme.com", "sam@other.com")),
        PersonConfig(id="robin", name="Robin", slack="UROBIN", aliases=("both@acme.com",)),
        PersonConfig(id="eve", name="Eve", tenant="other", slack="UEVE", aliases=("eve@acme.com",)),
    ],
    "T1",
)
WAYS: dict[str, Identities] = {
    "configuration": ByConfiguration(PEOPLE),
    "email": ByEmail(PEOPLE, ["ACME.com"]),
}


def an_account(user: str, email: str | None, team: str = "T1") -> Account:
    """Return a Slack account."""
    return Account(ChannelIdentity("slack", team, user), email)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Identities:
    """Each way of knowing."""
    return WAYS[request.param]


async def test_one_known_account_is_one_person(way: Identities) -> None:
    """Either way knows dana, by her id or by her address, however that is cased."""
    assert await way.behind(TENANT, an_account("UDANA", "dana@acme.com")) == "dana"
    assert await way.behind(TENANT, an_account("UDANA", "DANA@ACME.COM")) == "dana"


@pytest.mark.parametrize(
    "account",
    [
        an_account("UNOBODY", None),
        an_account("UNOBODY", ""),
        an_account("UNOBODY", "nobody@acme.com"),
        an_account("udana", None),
        an_account("UNOBODY", "sam@other.com"),
        an_account("UNOBODY", "sam@acme.com.evil.com"),
        an_account("UNOBODY", "sam@x@acme.com"),
        an_account("UNOBODY", "@acme.com"),
        an_account("UNOBODY", "sam@mail.acme.com"),
        an_account("UNOBODY", "ｓam@acme.com"),
        an_account("UNOBODY", "both@acme.com"),
        an_account("UEVE", "eve@acme.com"),
        an_account("sam", "dana"),
    ],
)
async def test_whoever_is_not_known_for_sure_is_nobody(way: Identities, account: Account) -> None:
    """Strangers, other domains, look-alikes, addresses of two people, people of another tenant."""
    assert await way.behind(TENANT, account) is None


async def test_ways_that_disagree_recognise_nobody() -> None:
    """An account mapped to dana whose confirmed address is sam's is in doubt, so it is refused."""
    ways = list(WAYS.values())

    assert await recognised(ways, TENANT, an_account("UDANA", "sam@acme.com")) is None
    assert await recognised(ways, TENANT, an_account("UDANA", "dana@acme.com")) == "dana"
    assert await recognised(ways, TENANT, an_account("UOTHER", "sam@acme.com")) == "sam"
    assert await recognised(ways, TENANT, an_account("UDANA", None)) == "dana"


async def test_a_workspace_of_somebody_else_maps_nobody() -> None:
    """The same user id in another workspace is somebody else."""
    assert await WAYS["configuration"].behind(TENANT, an_account("UDANA", None, team="T9")) is None
