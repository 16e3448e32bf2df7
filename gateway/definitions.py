"""The loop definitions a configuration names: those of its files, with the approvals and the hours that it adds."""

from collections.abc import Mapping
from pathlib import Path

from gateway.coherence import incoherences
from gateway.configuration import Configuration, ConfigurationError
from gateway.loopfiles import LoadedLoops, load_directory, load_library, load_shipped, loop_files_at
from loops.definition import LoopDefinition
from loops.guards import Guard
from loops.policy import ApprovalPolicy
from loops.runtime_guards import RUNTIME_GUARDS

#: What a configuration says for the loops Loopgate ships: the common ones, or ``library/github.deployment`` for one of
#: those that go with a vendor's webhooks.
LIBRARY = "library"


def load_definitions(
    configuration: Configuration, beside: Path, guards: Mapping[str, Guard] = RUNTIME_GUARDS
) -> LoadedLoops:
    """
    Return the loop definitions the configuration names; paths count from *beside*, *guards* are those registered.

    Raises:
        InvalidLoopFiles: If a loop file has an error.
        ConfigurationError: If a loop names something the configuration lacks.
    """
    shipped = [place.partition("/")[2] for place in configuration.loops if place.startswith(f"{LIBRARY}/")]
    places = [beside / place for place in configuration.loops if place.partition("/")[0] != LIBRARY]
    try:
        empty = [str(place) for place in places if not any(loop_files_at([place]))]
    except OSError as error:
        raise ConfigurationError(f"loops: {error.filename} cannot be read: {error.strerror}") from error
    if empty:
        raise ConfigurationError(f"loops: there are no loop files in {', '.join(empty)}")
    loaded = load_directory(*places, guards=guards)
    if LIBRARY in configuration.loops:
        loaded = LoadedLoops({**load_library().definitions, **loaded.definitions}, loaded.warnings)
    try:
        loaded = LoadedLoops({**load_shipped(shipped), **loaded.definitions}, loaded.warnings)
    except KeyError as error:
        raise ConfigurationError(f"loops: {error.args[0]}") from error
    for loop in {each.loop for each in configuration.approvals} - loaded.definitions.keys():
        raise ConfigurationError(f"approvals: there is no loop '{loop}'")
    definitions = {
        loop_id: with_calendars(with_approvals(definition, configuration), configuration)
        for loop_id, definition in loaded.definitions.items()
    }
    problems = [problem for definition in definitions.values() for problem in incoherences(definition, configuration)]
    if problems:
        raise ConfigurationError("\n".join(problems))
    return LoadedLoops(definitions, loaded.warnings)


def with_approvals(definition: LoopDefinition, configuration: Configuration) -> LoopDefinition:
    """
    Return *definition* with the approvals the configuration adds to its transitions.

    Raises:
        ConfigurationError: If one names a transition there is not, or one whose file has an approval already.
    """
    added = {each.transition: each.approval for each in configuration.approvals if each.loop == definition.id}
    if not added:
        return definition
    for transition_id in added:
        found = [transition for transition in definition.transitions if transition.id == transition_id]
        if not found:
            known = ", ".join(sorted({transition.id for transition in definition.transitions}))
            raise ConfigurationError(f"approvals: {definition.id} has no transition '{transition_id}'; it has {known}")
        if any(transition.approval for transition in found):
            raise ConfigurationError(
                f"approvals: '{transition_id}' of {definition.id} has an approval in its file; keep one of the two"
            )
    return definition.changed(
        transitions=tuple(
            transition.changed(approval=added[transition.id]) if transition.id in added else transition
            for transition in definition.transitions
        )
    )


def with_calendars(definition: LoopDefinition, configuration: Configuration) -> LoopDefinition:
    """Return *definition* with the hours of every calendar its policies name, as far as there is such a calendar."""

    def resolved(policy: ApprovalPolicy | None) -> ApprovalPolicy | None:
        hours = configuration.calendars.get(policy.calendar) if policy and policy.calendar else None
        return policy.changed(hours=hours) if policy and hours else policy

    of_states = [each.approval for each in definition.states]
    policies = [*of_states, *(each.approval for each in definition.transitions)]
    if not any(policy and policy.calendar for policy in policies):
        return definition
    return definition.changed(
        states=tuple(each.changed(approval=resolved(each.approval)) for each in definition.states),
        transitions=tuple(each.changed(approval=resolved(each.approval)) for each in definition.transitions),
    )
