"""Whether loop files and configuration fit together: every name a loop uses must resolve, every gate have somebody."""

from collections.abc import Iterator

from gateway.configuration import Configuration, PersonConfig, SlackConfig
from gateway.identities import is_of
from loops.definition import LoopDefinition
from loops.judging import external_guards
from loops.policy import ApprovalPolicy
from loops.staffing import shortfalls


def incoherences(definition: LoopDefinition, configuration: Configuration) -> Iterator[str]:
    """Yield what *definition* names that *configuration* lacks, each with what to do about it."""
    for state in definition.states:
        if state.provider and state.provider.use not in configuration.providers:
            yield f"{definition.id}: state {state.id} asks provider '{state.provider.use}'; name it under providers"
        if state.asks_humans:
            yield from _unmanned(
                f"{definition.id}: state {state.id}", state.approval or ApprovalPolicy(), configuration
            )
    yield from _pointless(definition, configuration)
    for transition in definition.transitions:
        if transition.approval:
            yield from _unmanned(f"{definition.id}: transition {transition.id}", transition.approval, configuration)
        for call in transition.effects:
            if call.integration not in configuration.integrations:
                yield (
                    f"{definition.id}: transition {transition.id} runs integration '{call.integration}'; "
                    "name it under integrations"
                )


def _pointless(definition: LoopDefinition, configuration: Configuration) -> Iterator[str]:
    for transition, _, point in external_guards(definition):
        if point not in configuration.policy_points:
            yield (
                f"{definition.id}: transition {transition.id} asks policy point '{point}'; name it under policyPoints, "
                "or it blocks"
            )


def may_have_account(person: PersonConfig, slack: SlackConfig) -> bool:
    """Return whether somebody can be recognised in Slack: by their user id, or by an address."""
    domains = {domain.lower() for domain in slack.email_domains}
    return person.slack is not None or any(is_of(name.lower(), domains) for name in (person.id, *person.aliases))


def _unmanned(where: str, policy: ApprovalPolicy, configuration: Configuration) -> Iterator[str]:
    slack = configuration.slack
    if policy.channel and policy.channel not in configuration.slack.channels:
        yield f"{where} asks in channel '{policy.channel}'; name its Slack channel under slack.channels"
    if not policy.channel and not configuration.slack.default_channel:
        yield f"{where} names no channel; set approval.channel, or slack.defaultChannel in the configuration"
    for step in policy.escalate:
        if step.channel and step.channel not in configuration.slack.channels:
            yield f"{where} escalates to channel '{step.channel}'; name its Slack channel under slack.channels"
        if step.on_call and step.on_call not in configuration.on_call:
            yield f"{where} escalates to who is on call in '{step.on_call}'; name that schedule under onCall"
    if policy.calendar and policy.calendar not in configuration.calendars:
        yield f"{where} counts the hours of calendar '{policy.calendar}'; name it under calendars"
    named = {user for stage in policy.gates for need in stage.needs for user in need.users}
    for user in sorted(named - {person.id for person in configuration.people}):
        yield f"{where} lets '{user}' decide; name that person under people"
    # Who is in a Slack user group is known at run time only; anybody with an account may be.
    from_slack = frozenset(configuration.groups)
    people = {
        person.id: from_slack.union(person.groups) for person in configuration.people if may_have_account(person, slack)
    }
    in_the_end = policy
    for step in policy.escalate:
        rotation = configuration.on_call.get(step.on_call or "")
        in_the_end = in_the_end.escalated(step, tuple(sorted(rotation.everybody)) if rotation else ())
    short = shortfalls(in_the_end, people)
    for each in short:
        need = policy.gates[each.stage].needs[each.need]
        yield (
            f"{where} needs {need.named()}, and the configuration maps {each.able}, so nobody could ever approve it; "
            "name more of them under people, each with their Slack user"
        )
