"""The directory: who is mapped is known by every name; who is not does not exist."""

from pathlib import Path

from unit.gateway.files import a_file

from gateway.configuration import load_configuration
from gateway.directory import ConfiguredDirectory
from loops.ports import ChannelIdentity


def _directory(home: Path) -> ConfiguredDirectory:
    def change(data: dict[str, list[dict[str, object]]]) -> None:
        data["people"].append({"id": "dana", "name": "Dana Other", "tenant": "other", "slack": "U0OTHER"})
        data["people"].append({"id": "lee", "name": "Lee Unmapped", "groups": ["sre"]})

    return ConfiguredDirectory(load_configuration(a_file(home, change)).people, "T1")


async def test_a_mapped_user_is_their_person(tmp_path: Path) -> None:
    """Slack's user in the configured workspace stands for one person, with their groups."""
    person = await _directory(tmp_path).behind("default", ChannelIdentity("slack", "T1", "U0DANA"))

    assert person is not None
    assert (person.person_id, person.name, person.groups) == ("dana", "Dana Ops", frozenset({"sre"}))
    assert person.as_actor("slack").authenticated_by == "slack"


async def test_nobody_else_is_anybody(tmp_path: Path) -> None:
    """Another user, workspace, channel or tenant: unmapped, whatever they are called."""
    directory = _directory(tmp_path)
    strangers = [
        ("default", ChannelIdentity("slack", "T1", "U0ALEX")),
        ("default", ChannelIdentity("slack", "T2", "U0DANA")),
        ("default", ChannelIdentity("teams", "T1", "U0DANA")),
        ("other", ChannelIdentity("slack", "T1", "U0DANA")),
        ("default", ChannelIdentity("slack", "T1", "U0OTHER")),
        ("default", ChannelIdentity("slack", "T1", "")),
    ]

    assert [await directory.behind(*stranger) for stranger in strangers] == [None] * len(strangers)


async def test_a_person_is_found_by_id_within_their_tenant(tmp_path: Path) -> None:
    """One id in two tenants is two people; an unmapped person is known, but has no identity to click with."""
    directory = _directory(tmp_path)
    mine, other = await directory.person("default", "dana"), await directory.person("other", "dana")
    lee = await directory.person("default", "lee")

    assert mine is not None
    assert other is not None
    assert (mine.name, other.name) == ("Dana Ops", "Dana Other")
    assert lee is not None
    assert lee.identities == ()
    assert await directory.person("default", "ghost") is None
