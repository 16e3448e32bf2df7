"""
The configuration file, `loopgate.yaml`: people, channel routes, providers, integrations, sources and loop files.

Secrets are never in it: where one is needed, the file names the environment variable that holds it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator

from gateway.intake.config import SourceConfig
from gateway.marked import FileProblem, read_mapping
from loops.errors import LoopgateError
from loops.problems import misfits
from loops.values import Identifier, Value

#: The name of an environment variable, as POSIX writes them.
EnvName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]


class ConfigurationError(LoopgateError):
    """The configuration cannot be used; the message names file, line, key and the next step, one problem a line."""


class PersonConfig(Value):
    """Somebody who may take part. `slack` is their user id in the configured workspace."""

    id: Identifier
    name: str
    tenant: str = "default"
    roles: tuple[str, ...] = ()
    groups: tuple[Identifier, ...] = ()
    slack: Identifier | None = None


class SlackConfig(Value):
    """The connected workspace. `channels` maps the names loop files use to Slack channel ids."""

    team: Identifier
    app: Identifier
    bot_user: Identifier | None = None
    bot_token_env: EnvName = "SLACK_BOT_TOKEN"  # noqa: S105 - the name of a variable
    signing_secret_env: EnvName = "SLACK_SIGNING_SECRET"  # noqa: S105 - the name of a variable
    api_url: str = "https://slack.com/api/"
    channels: Mapping[str, str] = Field(default_factory=dict)
    default_channel: str | None = None


class AnthropicConfig(Value):
    """Claude, through Anthropic's API."""

    kind: Literal["anthropic"]
    model: Identifier
    api_key_env: EnvName = "ANTHROPIC_API_KEY"
    base_url: str | None = None
    max_tokens: Annotated[int, Field(ge=256, le=21_000)] = 16_000
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60


class RecordedConfig(Value):
    """A recorded submission, replayed: for demos and tests, visible as such."""

    kind: Literal["recorded"]
    recording: Identifier


ProviderConfig = Annotated[AnthropicConfig | RecordedConfig, Field(discriminator="kind")]


class WebhookConfig(Value):
    """A system of record that is called by a signed webhook (Standard Webhooks)."""

    kind: Literal["webhook"]
    url: str
    secret_env: EnvName
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10


class Configuration(Value):
    """Everything `loopgate.yaml` says. `loops` are files or directories beside it; `library` means the shipped ones."""

    slack: SlackConfig
    people: tuple[PersonConfig, ...] = ()
    providers: Mapping[Identifier, ProviderConfig] = Field(default_factory=dict)
    integrations: Mapping[Identifier, WebhookConfig] = Field(default_factory=dict)
    sources: Mapping[Identifier, SourceConfig] = Field(default_factory=dict)
    loops: tuple[str, ...] = ("library",)

    @model_validator(mode="after")
    def _people_are_distinct(self) -> Self:
        for what, keys in (
            ("id", [(p.tenant, p.id) for p in self.people]),
            ("slack", [(p.tenant, p.slack) for p in self.people if p.slack]),
        ):
            repeated = {key for key in keys if keys.count(key) > 1}
            if repeated:
                names = ", ".join(sorted(str(key[1]) for key in repeated))
                raise ValueError(f"people: {what} {names} stands for more than one person")
        return self


def load_configuration(path: Path) -> Configuration:
    """
    Return what the file at *path* says.

    Raises:
        ConfigurationError: If it is missing, not YAML, or says something that does not fit, with file and line.
    """
    try:
        data, line_of = read_mapping(path)
    except FileProblem as error:
        raise ConfigurationError(str(error)) from error
    problems = [
        f"{path}:{line_of(place)}: {problem.path}: {problem.message}" for place, problem in misfits(Configuration, data)
    ]
    if problems:
        raise ConfigurationError("\n".join(problems))
    try:
        return Configuration.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{path}: {detail['msg']}" for detail in error.errors())) from error


def secret(name: str, environ: Mapping[str, str] = os.environ) -> SecretStr:
    """
    Return the secret in the environment variable *name*.

    Raises:
        ConfigurationError: If it is not set, naming the variable.
    """
    value = environ.get(name)
    if not value:
        raise ConfigurationError(f"the environment variable {name} is not set; the configuration names it as a secret")
    return SecretStr(value)
