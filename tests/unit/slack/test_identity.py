"""Who acted is whom the directory maps to the Slack user, of this workspace only."""

from typing import Any

import pytest
from builders import TENANT, People, a_person

from channels.slack.deliveries import Click, Command
from channels.slack.evidence import click_key
from channels.slack.identity import who_acted
from loops.ports import ChannelIdentity, Person


def a_click(**changes: Any) -> Click:
    """Return a click by Dana."""
    fields = {
        "type": "block_actions",
        "user": {"id": "UDANA", "team_id": "T1"},
        "team": {"id": "T1"},
        "container": {"message_ts": "1.2", "channel_id": "C1"},
        "actions": [{"action_id": "loopgate.answer.approve.0", "action_ts": "3.4"}],
    }
    return Click.model_validate(fields | changes)


def everywhere(person: Person) -> People:
    """Return a directory that maps Dana's Slack id in this workspace and in another one."""
    identities = (*person.identities, ChannelIdentity("slack", "T9", "UDANA"), ChannelIdentity("slack", "", "UDANA"))
    known = Person(person.person_id, person.name, person.roles, person.groups, identities)
    return People({known.person_id: known})


@pytest.mark.parametrize(
    ("changes", "is_known"),
    [
        ({}, True),
        ({"team": None}, True),
        ({"user": {"id": "UDANA"}}, True),
        ({"user": {"id": "UDANA", "team_id": "T9"}}, False),
        ({"team": {"id": "T9"}}, False),
        ({"team": {"id": "T9"}, "user": {"id": "UDANA", "team_id": "T9"}}, False),
        ({"team": None, "user": {"id": "UDANA"}}, False),
        ({"user": {"id": "UNOBODY", "team_id": "T1"}}, False),
    ],
)
async def test_only_members_of_this_workspace_are_people(changes: dict[str, Any], is_known: bool) -> None:
    """Both the person's workspace and the delivery's must be ours, even if the directory knows others."""
    human = (await who_acted(everywhere(a_person("dana", "sre")), None, TENANT, "T1", a_click(**changes))).human

    assert (human is not None) is is_known
    if human is not None:
        assert (human.user_id, human.authenticated_by) == ("dana", "slack")


@pytest.mark.parametrize(("team", "is_known"), [("T1", True), ("T9", False)])
async def test_commands_are_for_members_of_this_workspace(team: str, is_known: bool) -> None:
    """A command from another workspace comes from nobody."""
    command = Command(command="/loops", user_id="UDANA", team_id=team)
    human = (await who_acted(everywhere(a_person("dana")), None, TENANT, "T1", command)).human

    assert (human is not None) is is_known


def test_the_key_of_a_click_is_stable_and_its_own() -> None:
    """One click, however often delivered, has one key; another press, person, card or button has another."""
    key = click_key(a_click())
    others = [
        a_click(actions=[{"action_id": "loopgate.answer.approve.0", "action_ts": "3.5"}]),
        a_click(actions=[{"action_id": "loopgate.answer.reject.1", "action_ts": "3.4"}]),
        a_click(user={"id": "USAM", "team_id": "T1"}),
        a_click(container={"message_ts": "1.3", "channel_id": "C1"}),
        a_click(container={"message_ts": "1.2", "channel_id": "C2"}),
        a_click(container={"view_id": "V1"}),
    ]

    assert key == click_key(a_click(trigger_id="another")) == "slack:C1:1.2:UDANA:loopgate.answer.approve.0:3.4"
    assert len({key, *(click_key(other) for other in others)}) == 7
