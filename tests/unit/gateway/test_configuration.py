"""The configuration file: what does not fit is refused at its line, with the next step."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from unit.gateway.files import SECRETS, a_file

from gateway.configuration import ConfigurationError, load_configuration, secret
from gateway.wiring.work import lanes


def test_a_sound_file_says_what_it_says(tmp_path: Path) -> None:
    """People, channels, providers and integrations are read as they stand there."""
    configuration = load_configuration(a_file(tmp_path))

    assert [person.id for person in configuration.people] == ["dana", "kim"]
    assert configuration.slack.channels["sre-approvals"] == "C0SRE"
    assert configuration.loops == ("library",)


def _second_person(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["people"][1].update(fields)


@pytest.mark.parametrize(
    ("change", "at", "says"),
    [
        (
            lambda d: d["people"][0].update(grups=["sre"]),
            "grups:",
            "people.0.grups: unknown key 'grups'; did you mean 'groups'?",
        ),
        (
            lambda d: d.update(integrashuns={}),
            "integrashuns:",
            "unknown key 'integrashuns'; did you mean 'integrations'",
        ),
        (lambda d: d["slack"].pop("team"), "slack:", "slack.team: missing key 'team'"),
        (lambda d: d["people"][0].update(name=7), "name: 7", "people.0.name: must be text, not the number 7"),
        (_second_person(id="dana"), "- id: dana", "people.1.id: 'dana' stands for Dana Ops already"),
        (_second_person(slack="U0DANA"), "slack: U0DANA", "people.1.slack: 'U0DANA' stands for Dana Ops already"),
        (
            lambda d: d["slack"].update(defaultChannel="sre-approval"),
            "defaultChannel:",
            "slack.defaultChannel: 'sre-approval' is no name under slack.channels; did you mean 'sre-approvals'?",
        ),
        (
            lambda d: d["slack"].update(botTokenEnv="xoxb-123"),
            "botTokenEnv:",
            "slack.botTokenEnv",
        ),
        (lambda d: d["providers"]["analyst"].update(kind="oracle"), "analyst:", "providers.analyst"),
        (lambda d: d.update(groups={"ops": {"slackUserGroup": "@ops"}}), "slackUserGroup:", "groups.ops"),
        (
            lambda d: d["slack"].update(emailDomains=["acme"]),
            "- acme",
            "slack.emailDomains.0",
        ),
        (
            lambda d: (d.update(groups={"ops": {"slackUserGroup": "S0OPS"}}), d["people"][1].update(groups=["ops"])),
            "- ops",
            "people.1.groups.0: who is in 'ops' is up to Slack user group S0OPS",
        ),
        (
            lambda d: d.update(adhoc={"channels": ["sre-aprovals"], "groups": ["sre"]}),
            "- sre-aprovals",
            "adhoc.channels.0: 'sre-aprovals' is no name under slack.channels; did you mean 'sre-approvals'?",
        ),
        (
            lambda d: d.update(adhoc={"channels": ["sre-approvals"], "groups": ["srf"]}),
            "- srf",
            "adhoc.groups.0: 'srf' is no group of anybody under people, nor under groups; did you mean 'sre'?",
        ),
        (
            lambda d: d.update(adhoc={"channels": ["sre-approvals"], "users": ["dan"]}),
            "- dan",
            "adhoc.users.0: 'dan' is nobody under people; did you mean 'dana'?",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_line(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], at: str, says: str
) -> None:
    """The message is `file:line: key: what is wrong`, and the line is where it stands."""
    path = a_file(tmp_path, change)
    with pytest.raises(ConfigurationError) as refused:
        load_configuration(path)
    [message] = str(refused.value).splitlines()
    line = int(re.match(rf"{re.escape(str(path))}:(\d+): ", message)[1])  # type: ignore[index]

    assert says in message
    assert at in path.read_text().splitlines()[line - 1]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Two mistakes are two lines, not two attempts."""
    path = a_file(tmp_path, lambda d: (d.update(colour="red"), d["slack"].update(size=3)))
    with pytest.raises(ConfigurationError) as refused:
        load_configuration(path)

    assert len(str(refused.value).splitlines()) == 2


def test_one_id_in_two_tenants_is_two_people(tmp_path: Path) -> None:
    """People of one tenant do not exist for another, so they may be called alike."""
    configuration = load_configuration(a_file(tmp_path, _second_person(id="dana", tenant="other", slack="U0DANA")))

    assert len(configuration.people) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"slack: [", "Invalid YAML syntax"),
        (b"- a list", "must hold one mapping"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: 1\na: 2\n", "a"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    """Not YAML, not a mapping, not text, a key twice: one message that begins with the path."""
    path = tmp_path / "loopgate.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        load_configuration(path)

    assert str(refused.value).startswith(str(path))
    assert says in str(refused.value)


def test_a_file_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    """The first mistake anybody makes: what to write, what to set, and what needs neither."""
    with pytest.raises(ConfigurationError) as refused:
        load_configuration(tmp_path / "loopgate.yaml")

    assert str(refused.value) == (
        f"there is no {tmp_path / 'loopgate.yaml'}; write one as the README shows, or name yours in LOOPGATE_CONFIG. "
        "`loopgate demo` needs none"
    )


@pytest.mark.parametrize(("value", "says"), [(None, "is not set"), ("", "is not set"), ("shhh\n", "white space")])
def test_a_secret_that_cannot_be_used_is_refused_by_the_name_of_its_variable(value: str | None, says: str) -> None:
    """The message names the variable and never the secret."""
    environ = {} if value is None else {"SLACK_BOT_TOKEN": value}
    with pytest.raises(ConfigurationError, match=f"SLACK_BOT_TOKEN .*{says}") as refused:
        secret("SLACK_BOT_TOKEN", environ)

    assert "shhh" not in str(refused.value)


def test_a_secret_does_not_show_when_printed() -> None:
    """What is read as a secret stays one in logs and tracebacks."""
    read = secret("SLACK_SIGNING_SECRET", SECRETS)

    assert read.get_secret_value() == "shhh"
    assert "shhh" not in f"{read} {read!r}"


def test_a_provider_says_how_it_is_treated_with_the_same_words(tmp_path: Path) -> None:
    """A model vendor's retries, breaker and concurrency are its own; its lane is apart from an integration's."""

    def said(document: dict[str, Any]) -> None:
        document["providers"] = {
            "erp": {"kind": "recorded", "recording": "demo_changes", "retry": {"attempts": 3}, "concurrency": 2}
        }

    configuration = load_configuration(a_file(tmp_path, said))
    provider = configuration.providers["erp"]

    assert (provider.retry.attempts, provider.concurrency, provider.breaker.failures) == (3, 2, 5)
    assert lanes(configuration)["provider erp"] is provider
    assert lanes(configuration)["erp"] is configuration.integrations["erp"]


def test_an_integration_says_how_it_is_treated(tmp_path: Path) -> None:
    """Retries, breaker and concurrency are each integration's own; what is not said is as the settings say."""
    said = {
        "retry": {"attempts": 12, "first": "2s", "longest": "10m", "giveUpAfter": "1d"},
        "breaker": {"failures": 3, "pause": "1m"},
        "concurrency": 2,
    }
    integrations = load_configuration(a_file(tmp_path, lambda d: d["integrations"]["erp"].update(said))).integrations
    erp, deployer = integrations["erp"], integrations["deployer"]

    assert (erp.retry.attempts, erp.retry.first, erp.retry.give_up_after) == (
        12,
        timedelta(seconds=2),
        timedelta(days=1),
    )
    assert (erp.breaker.failures, erp.breaker.pause, erp.concurrency) == (3, timedelta(minutes=1), 2)
    assert (deployer.retry.attempts, deployer.breaker.failures, deployer.concurrency) == (None, 5, 16)
