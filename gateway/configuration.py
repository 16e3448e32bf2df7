"""
The configuration file, `loopgate.yaml`: people, channel routes, providers, integrations, sources and loop files.

Secrets are never in it: where one is needed, the file names the environment variable that holds it.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, IPvAnyNetwork, SecretStr

from gateway.api.adhoc import AdhocConfig
from gateway.guards.config import PolicyPointConfig
from gateway.intake.config import SourceConfig
from gateway.intake.presets import upon_preset
from gateway.marked.files import FileProblem, read_mapping
from gateway.outgoing import checked_url
from loops.durations import Duration
from loops.errors import LoopgateError
from loops.hours import Hours, Zone
from loops.policy import ApprovalPolicy
from loops.problems import Place, misfits, suggestion
from loops.redaction import RedactionRules
from loops.rotation import Rotation
from loops.values import Identifier, Value

#: The name of an environment variable, as POSIX writes them.
EnvName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]


class ConfigurationError(LoopgateError):
    """The configuration cannot be used; the message names file, line, key and the next step, one problem a line."""


class PersonConfig(Value):
    """
    Somebody who may take part.

    `slack` is their user id in the configured workspace. `aliases` are what other systems call them (an e-mail
    address, a login): whoever stands behind an agent under one of these may not approve what it asks. `zone` is where
    they live, such as Europe/Vienna, for times they write; what Slack says about it comes first.
    """

    id: Identifier
    name: str
    tenant: str = "default"
    roles: tuple[str, ...] = ()
    groups: tuple[Identifier, ...] = ()
    slack: Identifier | None = None
    aliases: tuple[Identifier, ...] = ()
    zone: Zone | None = None


def _reachable(url: str) -> str:
    try:
        is_bare = not checked_url(url, "it").query
    except ValueError:
        is_bare = False
    if not is_bare:
        raise ValueError("write the https address that Slack reaches this gateway at, https://loopgate.example.com")
    return url


class GroupConfig(Value):
    """A group whose members are those of a Slack user group; Slack says who they are."""

    slack_user_group: Annotated[str, Field(pattern=r"^S[A-Z0-9]{2,}$")]


class SlackConfig(Value):
    """
    The connected workspace.

    `public_url` is where Slack reaches this gateway over https; Socket Mode needs none. Of the secrets, the signing
    secret is for deliveries over HTTP, the app-level token for Socket Mode. `channels` maps the names loop files use to
    Slack channel ids; `default_channel` is one of those names, and so is `fallback_channel`, where it is told that a
    card cannot be shown. `pace` multiplies the rate limits Slack publishes, for a workspace that was granted more.

    `email_domains` switches on that people are recognised by the address Slack confirmed of them, where it is in one of
    these domains and is an id or alias of one person.
    """

    team: Identifier
    app: Identifier
    bot_user: Identifier | None = None
    bot_token_env: EnvName = "SLACK_BOT_TOKEN"  # noqa: S105 - the name of a variable
    signing_secret_env: EnvName = "SLACK_SIGNING_SECRET"  # noqa: S105 - the name of a variable
    public_url: Annotated[str, AfterValidator(_reachable)] | None = None
    app_token_env: EnvName = "SLACK_APP_TOKEN"  # noqa: S105 - the name of a variable
    api_url: str = "https://slack.com/api/"
    channels: Mapping[str, str] = Field(default_factory=dict)
    default_channel: str | None = None
    fallback_channel: str | None = None
    pace: Annotated[float, Field(gt=0, le=1000)] = 1.0
    email_domains: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")], ...] = ()


class RetryConfig(Value):
    """
    How often an integration or provider is tried, and how far apart: what is not said here is as the settings say.

    `first` is the first wait; it doubles, with some spread, up to `longest`. An effect is given up after `attempts`, or
    once `give_up_after` is over, whichever comes first.
    """

    attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    first: Duration | None = None
    longest: Duration | None = None
    give_up_after: Duration | None = None


class BreakerConfig(Value):
    """What failed `failures` times in a row, whoever called it, is let be for `pause`."""

    failures: Annotated[int, Field(ge=1, le=1_000)] = 5
    pause: Duration = timedelta(seconds=30)


class Treated(Value):
    """
    How any integration or provider is treated.

    `concurrency` is how many effects may be under way there at a time, in all workers together.
    """

    retry: RetryConfig = RetryConfig()
    breaker: BreakerConfig = BreakerConfig()
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 16


class AnthropicConfig(Treated):
    """Claude, through Anthropic's API."""

    kind: Literal["anthropic"]
    model: Identifier
    api_key_env: EnvName = "ANTHROPIC_API_KEY"
    base_url: str | None = None
    max_tokens: Annotated[int, Field(ge=256, le=21_000)] = 16_000
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60


class RecordedConfig(Treated):
    """A recorded submission, replayed: for demos and tests, visible as such."""

    kind: Literal["recorded"]
    recording: Identifier


ProviderConfig = Annotated[AnthropicConfig | RecordedConfig, Field(discriminator="kind")]


class SubscriptionsConfig(Value):
    """Where events may be sent to besides public addresses: `networks` such as ``10.20.0.0/16``."""

    networks: tuple[IPvAnyNetwork, ...] = ()


class WebhookConfig(Treated):
    """A system of record that is called by a signed webhook (Standard Webhooks)."""

    kind: Literal["webhook"]
    url: str
    secret_env: EnvName
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10


class HttpConfig(Treated):
    """
    A vendor's API that takes JSON, such as GitHub's.

    `url` may have holes that the effect's parameters fill, ``"{{ callbackUrl }}"``; it then leads nowhere but below a
    url of `allow`. What `token_env` names is shown as a bearer token.
    """

    kind: Literal["http"]
    url: str
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    allow: tuple[str, ...] = ()
    headers: Mapping[str, str] = Field(default_factory=dict)
    token_env: EnvName | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10


IntegrationConfig = Annotated[WebhookConfig | HttpConfig, Field(discriminator="kind")]


class AddedApproval(Value):
    """An approval policy for a transition of a loop whose file has none: what agents and services ask there waits."""

    loop: Identifier
    transition: Identifier
    approval: ApprovalPolicy


class AlertsConfig(Value):
    """Where effects that were given up are told of: a name under slack.channels; else the fallback channel."""

    channel: str | None = None


class Configuration(Value):
    """
    Everything `loopgate.yaml` says.

    `loops` are files or directories beside it; `library` means the shipped ones. `redaction` adds to what counts as a
    secret. `adhoc` is what callers of the API may ask for without a loop file; without it, nothing. `subscriptions`
    says where they may have events sent.
    """

    slack: SlackConfig
    people: tuple[PersonConfig, ...] = ()
    groups: Mapping[Identifier, GroupConfig] = Field(default_factory=dict)
    providers: Mapping[Identifier, ProviderConfig] = Field(default_factory=dict)
    integrations: Mapping[Identifier, IntegrationConfig] = Field(default_factory=dict)
    sources: Mapping[Identifier, SourceConfig] = Field(default_factory=dict)
    loops: tuple[str, ...] = ("library",)
    approvals: tuple[AddedApproval, ...] = ()
    policy_points: Mapping[Identifier, PolicyPointConfig] = Field(default_factory=dict)
    calendars: Mapping[Identifier, Hours] = Field(default_factory=dict)
    on_call: Mapping[Identifier, Rotation] = Field(default_factory=dict)
    redaction: RedactionRules = RedactionRules()
    alerts: AlertsConfig = AlertsConfig()
    adhoc: AdhocConfig | None = None
    subscriptions: SubscriptionsConfig = SubscriptionsConfig()


def load_configuration(path: Path) -> Configuration:
    """
    Return what the file at *path* says.

    Raises:
        ConfigurationError: If it is missing, not YAML, or says something that does not fit, with file and line.
    """
    if not path.exists():
        raise ConfigurationError(
            f"there is no {path}; write one as the README shows, or name yours in LOOPGATE_CONFIG. "
            "`loopgate demo` needs none"
        )
    try:
        data, line_of = read_mapping(path)
    except FileProblem as error:
        raise ConfigurationError(str(error)) from error
    data, wrong = _upon_presets(data)
    wrong += [(place, problem.message) for place, problem in misfits(Configuration, data)] if not wrong else []
    configuration = None if wrong else Configuration.model_validate(data)
    if configuration:
        wrong = list(_contradictions(configuration))
    if configuration is None or wrong:
        raise ConfigurationError(
            "\n".join(
                f"{path}:{line_of(place)}: {'.'.join(map(str, place))}{': ' if place else ''}{message}"
                for place, message in wrong
            )
        )
    return configuration


def _upon_presets(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[tuple[Place, str]]]:
    """Return *data* with what the presets say that its sources name, and where one names none there is."""
    sources = data.get("sources")
    if not isinstance(sources, Mapping):
        return data, []
    filled: dict[str, Any] = {}
    wrong: list[tuple[Place, str]] = []
    for name, said in sources.items():
        try:
            filled[name] = upon_preset(said)
        except ValueError as error:
            wrong.append((("sources", name, "preset"), str(error)))
    return {**data, "sources": filled}, wrong


def _contradictions(configuration: Configuration) -> Iterator[tuple[Place, str]]:
    """Yield what fits by itself, but not with the rest."""
    seen: dict[tuple[str, str, str], int] = {}
    for index, person in enumerate(configuration.people):
        for key, value in (("id", person.id), ("slack", person.slack)):
            if value is None:
                continue
            first = seen.setdefault((person.tenant, key, value), index)
            if first != index:
                named = configuration.people[first].name
                yield ("people", index, key), f"'{value}' stands for {named} already; each person has their own"
        for place, group in enumerate(person.groups):
            if group in configuration.groups:
                yield (
                    ("people", index, "groups", place),
                    f"who is in '{group}' is up to Slack user group {configuration.groups[group].slack_user_group}",
                )
    known_people = [person.id for person in configuration.people]
    for schedule, rotation in configuration.on_call.items():
        for person_id in sorted(rotation.everybody - set(known_people)):
            yield ("onCall", schedule), f"'{person_id}' is nobody under people{suggestion(person_id, known_people)}"
    slack = configuration.slack
    for named_at, name in (
        (("slack", "defaultChannel"), slack.default_channel),
        (("slack", "fallbackChannel"), slack.fallback_channel),
        (("alerts", "channel"), configuration.alerts.channel),
    ):
        if name and name not in slack.channels:
            known = list(slack.channels)
            yield named_at, f"'{name}' is no name under slack.channels{suggestion(name, known)}"
    if configuration.adhoc:
        yield from _unknown_to_adhoc(configuration, configuration.adhoc)


def _unknown_to_adhoc(configuration: Configuration, adhoc: AdhocConfig) -> Iterator[tuple[Place, str]]:
    """Yield whom and where programs may ask, and there is nobody and nothing of that name."""
    groups = {*configuration.groups, *(group for person in configuration.people for group in person.groups)}
    users = [person.id for person in configuration.people]
    for key, named, known, where in (
        ("channels", adhoc.channels, list(configuration.slack.channels), "no name under slack.channels"),
        ("groups", adhoc.groups, sorted(groups), "no group of anybody under people, nor under groups"),
        ("users", adhoc.users, users, "nobody under people"),
    ):
        for index, name in enumerate(named):
            if name not in known:
                yield ("adhoc", key, index), f"'{name}' is {where}{suggestion(name, known)}"


def secret(name: str, environ: Mapping[str, str] = os.environ) -> SecretStr:
    """
    Return the secret in the environment variable *name*.

    Raises:
        ConfigurationError: If it is not set, or has white space around it, naming the variable and not the secret.
    """
    value = environ.get(name)
    if not value:
        raise ConfigurationError(
            f"the environment variable {name} is not set; export it, as the configuration names it as a "
            "secret. `loopgate doctor` says what else is missing"
        )
    if value != value.strip():
        raise ConfigurationError(f"the environment variable {name} has white space or a line end around its secret")
    return SecretStr(value)
