"""Identities: an address says who somebody is only where it is one, in a domain that counts."""

import pytest
from builders import TENANT, People, a_person

from gateway.identities import ByEmail, is_of
from loops.ports import Account, ChannelIdentity


@pytest.mark.parametrize(
    ("email", "is_one"),
    [
        ("dana@house.example", True),
        ("@house.example", False),
        ("dana@evil.example@house.example", False),
        ("dana@house.example@evil.example", False),
        ("dana@sub.house.example", False),
        ("dana@evilhouse.example", False),
        ("d\u00e4na@house.example", False),
        ("house.example", False),
        ("", False),
    ],
)
def test_an_address_has_one_name_in_one_domain_that_counts(email: str, is_one: bool) -> None:
    """No name, two signs, another script, a sub-domain or a look-alike: not an address of ours."""
    assert is_of(email, {"house.example"}) is is_one


async def test_domains_are_compared_as_mail_compares_them() -> None:
    """Capital letters, in the configuration or in the account, make no other domain and no other person."""
    people = People({"dana@house.example": a_person("dana@house.example")})
    way = ByEmail(people, ["House.EXAMPLE"])
    account = Account(ChannelIdentity("slack", "T1", "UDANA"), "Dana@HOUSE.example")

    assert await way.behind(TENANT, account) == "dana@house.example"
