"""Loop files and configuration fit together before anything starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import a_change
from unit.gateway.files import a_file

from gateway.coherence import incoherences
from gateway.configuration import ConfigurationError, load_configuration
from gateway.definitions import load_definitions, with_calendars


def _found(home: Path, change: Callable[[dict[str, Any]], object], **approval: Any) -> list[str]:
    return list(incoherences(a_change(**approval), load_configuration(a_file(home, change))))


def _nothing(_: dict[str, Any]) -> None:
    return None


def test_what_fits_is_not_complained_about(tmp_path: Path) -> None:
    """Every name resolves and somebody can approve."""
    assert _found(tmp_path, _nothing) == []


@pytest.mark.parametrize(
    ("change", "approval", "says"),
    [
        (lambda d: d["providers"].pop("analyst"), {}, "asks provider 'analyst'; name it under providers"),
        (lambda d: d["integrations"].pop("deployer"), {}, "runs integration 'deployer'; name it under integrations"),
        (lambda d: d["slack"]["channels"].pop("sre-approvals"), {}, "asks in channel 'sre-approvals'; name its Slack"),
        (_nothing, {"channel": None}, "names no channel; set approval.channel, or slack.defaultChannel"),
        (_nothing, {"quorum": 2}, "needs 2 of sre, and the configuration maps 1"),
        (lambda d: d["people"][0].pop("slack"), {}, "needs 1 of sre, and the configuration maps 0"),
        (_nothing, {"approvers": {"users": ["dana", "dan"]}}, "lets 'dan' decide; name that person under people"),
        (
            _nothing,
            {"escalate": [{"after": "1h", "channel": "sre-leads", "groups": ["sre"]}]},
            "escalates to channel 'sre-leads'; name its Slack channel",
        ),
        (
            _nothing,
            {"escalate": [{"after": "1h", "onCall": "primary"}]},
            "escalates to who is on call in 'primary'; name that schedule under onCall",
        ),
        (_nothing, {"calendar": "office"}, "counts the hours of calendar 'office'; name it under calendars"),
    ],
)
def test_a_name_that_resolves_to_nothing_is_told(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], approval: dict[str, Any], says: str
) -> None:
    """Provider, integration, channel, person, quorum: each one is told with what to do, and nothing else is."""
    [problem] = _found(tmp_path, change, **approval)

    assert problem.startswith("test.change: ")
    assert says in problem


def test_a_default_channel_serves_loops_that_name_none(tmp_path: Path) -> None:
    """With a default, a policy need not name a channel."""
    assert _found(tmp_path, lambda d: d["slack"].update(defaultChannel="sre-approvals"), channel=None) == []


def test_loops_that_do_not_fit_are_not_loaded(tmp_path: Path) -> None:
    """The wiring refuses what is incoherent, all of it at once."""
    configuration = load_configuration(a_file(tmp_path, lambda d: d.update(integrations={})))
    with pytest.raises(ConfigurationError) as refused:
        load_definitions(configuration, tmp_path)

    assert "infrastructure.change: transition approve runs integration 'deployer'" in str(refused.value)
    assert "purchase.approval" in str(refused.value)


def test_a_directory_without_loop_files_is_told(tmp_path: Path) -> None:
    """A place that holds no loops is a mistake, not an empty gateway."""
    (tmp_path / "loops").mkdir()
    configuration = load_configuration(a_file(tmp_path, lambda d: d.update(loops=["loops"])))

    with pytest.raises(ConfigurationError, match=r"there are no loop files in .*loops"):
        load_definitions(configuration, tmp_path)


STAGES = [{"needs": [{"groups": ["sre"]}]}, {"needs": [{"groups": ["cto"], "quorum": 2}]}]


def test_a_stage_nobody_can_meet_is_told(tmp_path: Path) -> None:
    """Every stage of a policy needs people the configuration maps."""
    [problem] = _found(tmp_path, _nothing, approvers={}, stages=STAGES)

    assert "needs 2 of cto, and the configuration maps 0" in problem


def _adding(**changes: Any) -> Callable[[dict[str, Any]], object]:
    entry = {
        "loop": "infrastructure.change",
        "transition": "rollout_done",
        "approval": {"channel": "sre-approvals", "approvers": {"groups": ["sre"]}},
    }
    return lambda d: d.update(approvals=[entry | changes])


def test_the_configuration_makes_a_transition_wait_for_approval(tmp_path: Path) -> None:
    """An approval added to a shipped loop is part of its pinned definition, and changes its digest."""
    configuration = load_configuration(a_file(tmp_path, _adding()))
    plain = load_configuration(a_file(tmp_path, _nothing))
    added = load_definitions(configuration, tmp_path).definitions["infrastructure.change"]
    without = load_definitions(plain, tmp_path).definitions["infrastructure.change"]

    assert [t.id for t in added.transitions if t.approval] == ["rollout_done"]
    assert added.digest != without.digest


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loop": "no.such.loop"}, "there is no loop 'no.such.loop'"),
        ({"transition": "rollout"}, "has no transition 'rollout'; it has"),
        ({"approval": {"channel": "sre-approvals", "approvers": {"groups": ["cto"]}}}, "needs 1 of cto"),
    ],
)
def test_an_added_approval_that_fits_nothing_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    """An unknown loop or transition, or an approval nobody could give, keeps the gateway from starting."""
    configuration = load_configuration(a_file(tmp_path, _adding(**changes)))

    with pytest.raises(ConfigurationError, match=says):
        load_definitions(configuration, tmp_path)


def test_people_an_escalation_adds_count_among_those_who_can_approve(tmp_path: Path) -> None:
    """Two of sre are out of reach with one mapped, and within it once finance, or whoever is on call, comes in."""
    rotation = {"zone": "Europe/Vienna", "start": "2026-01-05", "people": ["kim"]}

    def with_schedule(data: dict[str, Any]) -> None:
        data["onCall"] = {"primary": rotation}

    assert len(_found(tmp_path, _nothing, quorum=2)) == 1
    assert _found(tmp_path, _nothing, quorum=2, escalate=[{"after": "1h", "groups": ["finance"]}]) == []
    assert _found(tmp_path, with_schedule, quorum=2, escalate=[{"after": "1h", "onCall": "primary"}]) == []


def test_a_calendar_of_the_configuration_is_written_into_the_policies_that_name_it(tmp_path: Path) -> None:
    """What runs is pinned: a request counts the hours its definition was started with, whatever the file says later."""

    def with_calendar(data: dict[str, Any]) -> None:
        data["calendars"] = {"office": {"zone": "Europe/Vienna", "days": ["mon-thu"], "to": "12:00"}}

    configuration = load_configuration(a_file(tmp_path, with_calendar))
    definition = a_change(calendar="office")
    resolved = with_calendars(definition, configuration)
    policy = resolved.state("PENDING_HUMAN_APPROVAL").approval

    assert list(incoherences(definition, configuration)) == []
    assert policy is not None
    assert policy.hours == configuration.calendars["office"]
    assert resolved.digest != definition.digest
