"""Whether loop files and configuration fit together: every name a loop uses must resolve, every gate have somebody."""

from collections.abc import Iterator

from gateway.configuration import Configuration
from loops.definition import LoopDefinition, State
from loops.policy import ApprovalPolicy


def incoherences(definition: LoopDefinition, configuration: Configuration) -> Iterator[str]:
    """Yield what *definition* names that *configuration* lacks, each with what to do about it."""
    for state in definition.states:
        if state.provider and state.provider.use not in configuration.providers:
            yield f"{definition.id}: state {state.id} asks provider '{state.provider.use}'; name it under providers"
        if state.asks_humans:
            yield from _unmanned(definition, state, configuration)
    for transition in definition.transitions:
        for call in transition.effects:
            if call.integration not in configuration.integrations:
                yield (
                    f"{definition.id}: transition {transition.id} runs integration '{call.integration}'; "
                    "name it under integrations"
                )


def _unmanned(definition: LoopDefinition, state: State, configuration: Configuration) -> Iterator[str]:
    policy = state.approval or ApprovalPolicy()
    where = f"{definition.id}: state {state.id}"
    if policy.channel and policy.channel not in configuration.slack.channels:
        yield f"{where} asks in channel '{policy.channel}'; name its Slack channel under slack.channels"
    if not policy.channel and not configuration.slack.default_channel:
        yield f"{where} names no channel; set approval.channel, or slack.defaultChannel in the configuration"
    for step in policy.escalate:
        if step.channel and step.channel not in configuration.slack.channels:
            yield f"{where} escalates to channel '{step.channel}'; name its Slack channel under slack.channels"
    for user in policy.approvers.users:
        if user not in {person.id for person in configuration.people}:
            yield f"{where} lets '{user}' decide; name that person under people"
    able = [
        person
        for person in configuration.people
        if person.slack and (person.id in policy.approvers.users or set(person.groups) & set(policy.approvers.groups))
    ]
    if len(able) < policy.quorum:
        yield (
            f"{where} needs {policy.quorum} of {policy.approvers.named()}, and the configuration maps {len(able)}; "
            "nobody could ever approve it"
        )
