"""What was written down: settings, configuration, secrets, loop files, and whether anybody can approve."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from gateway.configuration import Configuration, ConfigurationError, secret
from gateway.definitions import load_definitions
from gateway.doctor.findings import Finding, doubtful, failing, skipped, well
from gateway.doctor.patient import Patient
from gateway.guards.entry_points import load_guards
from gateway.loopfiles import LoadedLoops
from gateway.storage.addresses import without_secrets
from loops.definition import LoopDefinition
from loops.errors import LoopgateError
from loops.policy import ApprovalPolicy
from loops.runtime_guards import RUNTIME_GUARDS
from loops.staffing import stranded

#: How the secrets that Slack makes begin. Source: docs.slack.dev, authentication/tokens.
BOT_TOKEN, APP_TOKEN = "xoxb-", "xapp-"


async def settings_read(patient: Patient) -> Sequence[Finding]:
    """What the environment says; the store's password stays out."""
    known = patient.settings
    url = known.redis_url.get_secret_value() if known.redis_url else ""
    return [
        well(
            "settings",
            f"Slack delivers over {'Socket Mode' if known.slack_mode == 'socket' else 'HTTP'}; configuration "
            f"{known.config}; store {without_secrets(url) if url else f'embedded, in {known.data_dir}'}; "
            f"serve listens on {known.host} port {known.port}",
        )
    ]


async def configuration_read(patient: Patient) -> Sequence[Finding]:
    """Whether loopgate.yaml can be read and fits together."""
    known = patient.configuration
    if known is None:
        step = f"mend {patient.settings.config}, or name another file in LOOPGATE_CONFIG"
        return [failing("configuration", line, step) for line in patient.illegible.splitlines()]
    return [
        well(
            "configuration",
            f"workspace {known.slack.team}, app {known.slack.app}, {_count(len(known.people), 'person', 'people')}, "
            f"{_count(len(known.slack.channels), 'channel')}, {_count(len(known.integrations), 'integration')}, "
            f"{_count(len(known.sources), 'source')}",
        )
    ]


async def secrets_set(patient: Patient) -> Sequence[Finding]:
    """Whether every secret that the configuration names is in the environment, and looks like one of its kind."""
    known = patient.configuration
    if known is None:
        return [skipped("secrets", "the configuration")]
    found, names = [], dict(_secrets(known, patient.settings.slack_mode))
    for name, prefix in names.items():
        try:
            value = secret(name, patient.environ).get_secret_value()
        except ConfigurationError as error:
            found.append(
                failing("secrets", str(error).partition("; ")[0], f"export {name} where serve and work are started")
            )
        else:
            if prefix and not value.startswith(prefix):
                found.append(failing("secrets", f"{name} does not begin with {prefix}; copy the right one from Slack"))
    for sources in _sharing(known, patient.environ):
        trouble = f"the sources {' and '.join(sources)} share a secret: what is signed for one verifies at the other"
        found.append(doubtful("secrets", f"{trouble}; give each its own, where the sender lets you"))
    return found or [well("secrets", f"all set: {', '.join(names)}")]


async def loops_fit(patient: Patient) -> Sequence[Finding]:
    """Whether the loop files are sound and everything they name is configured; what `serve` would refuse."""
    if patient.configuration is None:
        return [skipped("loops", "the configuration")]
    try:
        loaded = _loaded(patient, patient.configuration)
    except LoopgateError as error:
        step = "mend it; serve and work refuse to start until then"
        return [failing("loops", line, step) for line in str(error).splitlines()]
    names = ", ".join(f"{each.id} {each.version}" for each in loaded.definitions.values())
    return [*(doubtful("loops", str(each)) for each in loaded.warnings), well("loops", names or "none")]


async def approvers_there(patient: Patient) -> Sequence[Finding]:
    """Whether every gate has people enough, also for what one of them asks for."""
    if patient.configuration is None:
        return [skipped("approvers", "the configuration")]
    try:
        definitions = _loaded(patient, patient.configuration).definitions.values()
    except LoopgateError:
        # A gate that nobody can approve is among what `loops` tells then.
        return [skipped("approvers", "sound loops")]
    people = {person.id: frozenset(person.groups) for person in patient.configuration.people if person.slack}
    gates = [gate for definition in definitions for gate in _gates(definition)]
    found = [
        doubtful(
            "approvers",
            f"{where}: nobody could approve a proposal of {' or '.join(alone)}, as nobody approves their own; "
            "name more people who may approve",
        )
        for where, policy in gates
        if (alone := stranded(policy, people))
    ]
    return found or [well("approvers", f"{_count(len(gates), 'gate')}, each with people enough")]


def _loaded(patient: Patient, configuration: Configuration) -> LoadedLoops:
    return load_definitions(configuration, patient.settings.config.parent, {**RUNTIME_GUARDS, **load_guards()})


def _gates(definition: LoopDefinition) -> Iterator[tuple[str, ApprovalPolicy]]:
    for state in definition.states:
        if state.asks_humans:
            yield f"{definition.id}, {state.id}", state.approval or ApprovalPolicy()
    for transition in definition.transitions:
        if transition.approval:
            yield f"{definition.id}, {transition.id}", transition.approval


def _secrets(known: Configuration, mode: str) -> Iterator[tuple[str, str]]:
    """Yield the variables that hold secrets, each with what its value begins with, if that is known."""
    slack = known.slack
    yield slack.bot_token_env, BOT_TOKEN
    yield (slack.app_token_env, APP_TOKEN) if mode == "socket" else (slack.signing_secret_env, "")
    for name, value in known:
        if name != "slack":
            yield from ((env, "") for env in _named_variables(value))


def _sharing(known: Configuration, environ: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the sources that verify with the same secret."""
    holders: dict[str, list[str]] = {}
    for name, source in known.sources.items():
        for value in {environ[env] for env in _named_variables(source) if environ.get(env)}:
            holders.setdefault(value, []).append(name)
    yield from (names for names in holders.values() if len(names) > 1)


def _named_variables(value: Any) -> Iterator[str]:
    """Yield every variable that a part of the configuration names: all of its fields that end in ``Env``."""
    match value:
        case BaseModel():
            for name, inner in value:
                if name.endswith("_env") and inner:
                    yield inner
                elif name.endswith("_envs"):
                    yield from inner
                else:
                    yield from _named_variables(inner)
        case Mapping():
            for inner in value.values():
                yield from _named_variables(inner)
        case tuple():
            for inner in value:
                yield from _named_variables(inner)
        case _:
            pass


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
