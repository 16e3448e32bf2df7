"""
Checking: whether plain data is a loop definition that can be run, and everything that is wrong with it.

Strict on purpose. A typo that drops a hard guard, a signal nobody may send, an approval nobody can give: each would
only show when it is too late, so each is an error here, before the first instance starts.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loops.actors import ActorType
from loops.canonical import NotCanonical, canonical_json
from loops.checking_approvals import approval_problems
from loops.definition import GuardRule, IntegrationCall, LoopDefinition, Transition
from loops.guards import Guard
from loops.policy import ApprovalPolicy
from loops.problems import Place, Problem, Severity, at, misfits, suggestion
from loops.runtime_guards import RUNTIME_GUARDS
from loops.subject import Subject
from loops.templates import problems as template_problems

#: What a version looks like. Source: semver.org, the suggested regular expression.
SEMVER = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check. `definition` is None where any problem is an error."""

    definition: LoopDefinition | None
    problems: tuple[Problem, ...]


def check(data: Mapping[str, Any], *, guards: Mapping[str, Guard] = RUNTIME_GUARDS) -> Checked:
    """
    Check *data*, plain JSON in either spelling, and normalise it.

    Args:
        data: What a loop file holds. Anything else than a mapping is a problem, not an exception.
        guards: The runtime guards a definition may name.
    """
    if misfit := _not_plain(data):
        return Checked(None, (misfit,))
    found = list(misfits(LoopDefinition, data))
    problems = [problem for _, problem in found]
    definition = None
    if all(problem.code in {"UNKNOWN_KEY", "DUPLICATE_KEY"} for problem in problems):
        # Without the keys nobody knows, the rest can still be judged: one run of the check tells everything.
        definition = LoopDefinition.model_validate(_without([place for place, _ in found], data))
        subject = Subject(definition, data, guards)
        problems += [problem for rule in _RULES for problem in rule(subject)]
    if any(problem.severity == "error" for problem in problems):
        definition = None
    return Checked(definition, tuple(problems))


def _not_plain(data: Any) -> Problem | None:
    if not isinstance(data, Mapping):
        return Problem("INVALID_VALUE", "", "a loop definition is one mapping that begins with 'id'")
    try:
        canonical_json(data)
    except NotCanonical as error:
        path, _, reason = str(error).partition(": ")
        return Problem("INVALID_VALUE", re.sub(r"\[(\d+)\]", r".\1", path).removeprefix("$").lstrip("."), reason)
    except RecursionError:
        return Problem("INVALID_VALUE", "", "nested too deeply")
    return None


def _without(places: Iterable[Place], value: Any, here: Place = ()) -> Any:
    places = set(places)
    match value:
        case Mapping():
            return {
                key: _without(places, item, (*here, key)) for key, item in value.items() if (*here, key) not in places
            }
        case list() | tuple():
            return [_without(places, item, (*here, index)) for index, item in enumerate(value)]
        case _:
            return value


def _version(subject: Subject) -> Iterator[Problem]:
    version = subject.definition.version
    if not SEMVER.fullmatch(version):
        yield Problem("INVALID_VERSION", "version", f"'{version}' is not a SemVer version; write it like 1.0.0")


def _ids(subject: Subject) -> Iterator[Problem]:
    """Ids are read by people and sent to other systems: every character of them can be seen."""
    named = [(subject.written((), "id", "loopId"), subject.definition.id)]
    named += [(subject.written(place, "id", "stateId"), state.id) for place, state in subject.states]
    for place, transition in subject.transitions:
        named.append((subject.written(place, "id", "transitionId"), transition.id))
        named.append((subject.written(place, "signal"), transition.signal))
    for path, name in named:
        if not name.isprintable():
            yield Problem("INVALID_VALUE", path, f"{name!r} has characters that cannot be seen; use letters and digits")


def _references(subject: Subject) -> Iterator[Problem]:
    known = subject.state_ids
    initial = subject.definition.initial_state
    if initial not in known:
        yield Problem("INVALID_INITIAL_STATE", "initialState", f"no state '{initial}'{suggestion(initial, known)}")
    for place, transition in subject.transitions:
        for key, state_id in (("from", transition.from_), ("to", transition.to)):
            if state_id not in known:
                message = f"transition '{transition.id}' names no state '{state_id}'{suggestion(state_id, known)}"
                yield Problem("INVALID_TRANSITION_STATE", at(*place, key), message)


def _duplicates(subject: Subject) -> Iterator[Problem]:
    states: set[str] = set()
    for place, state in subject.states:
        if state.id in states:
            path = subject.written(place, "id", "stateId")
            yield Problem("DUPLICATE_STATE_ID", path, f"state '{state.id}' is defined twice; rename one")
        states.add(state.id)
    by_id: dict[str, list[Transition]] = {}
    by_state: dict[str, list[Transition]] = {}
    for place, transition in subject.transitions:
        same_id = by_id.setdefault(transition.id, [])
        siblings = by_state.setdefault(transition.from_, [])
        yield from _clashes(subject, place, transition, same_id, siblings)
        same_id.append(transition)
        siblings.append(transition)


def _clashes(
    subject: Subject, place: Place, transition: Transition, same_id: list[Transition], siblings: list[Transition]
) -> Iterator[Problem]:
    path = subject.written(place, "id", "transitionId")
    if any(other.from_ == transition.from_ for other in same_id):
        message = f"two transitions '{transition.id}' leave {transition.from_}; rename one"
        yield Problem("DUPLICATE_TRANSITION_ID", path, message)
    elif same_id:
        # Nothing is ambiguous at run time (the state decides), but people who read the ledger will stumble.
        message = f"transition '{transition.id}' also leaves {same_id[0].from_}; one id each, `signal` may be shared"
        yield Problem("DUPLICATE_TRANSITION_ID", path, message, "warning")
    for other in siblings:
        shared = {transition.id, transition.signal} & {other.id, other.signal}
        if shared and other.id != transition.id:
            name = min(shared)
            message = f"'{name}' means both '{other.id}' and '{transition.id}' in {transition.from_}; rename one"
            yield Problem("DUPLICATE_SIGNAL", at(*place, "signal"), message)


def _signal_cycles(subject: Subject) -> Iterator[Problem]:
    back = {(other.signal, other.to, other.from_) for other in subject.definition.transitions}
    for place, one in subject.transitions:
        if one.from_ != one.to and (one.signal, one.from_, one.to) in back:
            message = f"signal '{one.signal}' leads from {one.from_} to {one.to} and back again; use two signals"
            yield Problem("SIGNAL_CYCLE_DETECTED", at(*place, "signal"), message)


def _completion(subject: Subject) -> Iterator[Problem]:
    definition = subject.definition
    terminal = {state.id for state in definition.states if state.is_terminal}
    if not terminal:
        yield Problem("NO_TERMINAL_STATE", "states", "no state is terminal, so no instance could ever complete")
    forward = _reached({definition.initial_state}, lambda here: (t.to for t in definition.exits(here)))
    entries: dict[str, list[str]] = {}
    for transition in definition.transitions:
        entries.setdefault(transition.to, []).append(transition.from_)
    backward = _reached(terminal, lambda here: entries.get(here, ()))
    completable = bool(forward & terminal)
    starts = definition.initial_state in subject.state_ids
    if terminal and starts and not completable:
        message = f"no way leads from the initial state {definition.initial_state} to a terminal state"
        yield Problem("LOOP_NOT_COMPLETABLE", "", message)
    for place, state in subject.states:
        # An error state may be where somebody has to look by hand: the canonical files have one. Say it, load it.
        severity: Severity = "warning" if state.is_error else "error"
        if starts and state.id not in forward:
            message = f"no transition leads from {definition.initial_state} to {state.id}; remove it or lead to it"
            yield Problem("UNREACHABLE_STATE", at(*place), message, severity)
        if not definition.exits(state.id) and not state.is_terminal:
            message = f"{state.id} is not terminal but nothing leads out of it; add an exit or make it terminal"
            yield Problem("DEAD_END_STATE", at(*place), message, severity)
        elif completable and state.id not in backward:
            message = f"no terminal state can be reached from {state.id}; an instance in it never completes"
            yield Problem("DEAD_END_STATE", at(*place), message, severity)
    for place, transition in subject.transitions:
        if transition.from_ in terminal:
            message = f"transition '{transition.id}' leaves {transition.from_}, which is terminal"
            yield Problem("EXIT_FROM_TERMINAL_STATE", at(*place, "from"), message)


def _reached(start: Iterable[str], neighbours: Callable[[str], Iterable[str]]) -> set[str]:
    reached, waiting = set(start), deque(start)
    while waiting:
        new = set(neighbours(waiting.popleft())) - reached
        reached |= new
        waiting.extend(new)
    return reached


def _outcome(subject: Subject) -> Iterator[Problem]:
    outcome = subject.definition.outcome
    if outcome and not outcome.business_metrics:
        message = "an outcome names at least one business metric; otherwise nothing can be learned from it"
        yield Problem("OUTCOME_METRICS_REQUIRED", "outcome.businessMetrics", message)


def _guards(subject: Subject) -> Iterator[Problem]:
    for place, transition in subject.transitions:
        ids = [rule.id for rule in transition.guards]
        if repeated := sorted({each for each in ids if ids.count(each) > 1}):
            message = f"transition '{transition.id}' names guard {', '.join(repeated)} more than once"
            yield Problem("DUPLICATE_GUARD_ID", at(*place, "guards"), message)
        for index, rule in enumerate(transition.guards):
            here = (*place, "guards", index)
            path = subject.written(here, "id", "guardId")
            if rule.evaluated_by == "external":
                yield from _external(subject, here, path, rule)
                continue
            guard = subject.guards.get(rule.id)
            if guard is None or guard.evaluated_by != rule.evaluated_by:
                same = [each for each, known in subject.guards.items() if known.evaluated_by == rule.evaluated_by]
                near = suggestion(rule.id, same)
                if guard:
                    near = (
                        f"; the {guard.evaluated_by} guard of this name is, so write evaluatedBy: {guard.evaluated_by}"
                    )
                message = f"transition '{transition.id}' names guard '{rule.id}', which is not registered{near}"
                yield Problem("UNREGISTERED_GUARD", path, message)
            else:
                for _, problem in misfits(guard.parameters, rule.parameters, (*here, "parameters")):
                    message = f"guard '{rule.id}': {problem.message}"
                    yield Problem("INVALID_GUARD_PARAMETERS", problem.path, message)


def _external(subject: Subject, place: Place, path: str, rule: GuardRule) -> Iterator[Problem]:
    """Which policy points there are, the gateway knows (gateway.coherence)."""
    point = rule.parameters.get("point", rule.id)
    if not isinstance(point, str) or not point.strip():
        wrong = at(*place, "parameters", "point")
        yield Problem("INVALID_GUARD_PARAMETERS", wrong, f"guard '{rule.id}': the name of a policy point is text")
    elif point == rule.id and (guard := subject.guards.get(rule.id)):
        message = f"the {guard.evaluated_by} guard '{rule.id}' is not asked: evaluatedBy external asks a policy point"
        yield Problem("GUARD_NOT_EVALUATED", path, message, "warning")


def _templates(subject: Subject) -> Iterator[Problem]:
    written = [(place, state.approval) for place, state in subject.states]
    written += [(place, transition.approval) for place, transition in subject.transitions]
    for place, approval in written:
        policy = approval or ApprovalPolicy()
        texts: dict[str, Any] = {"title": policy.title, "facts": policy.facts}
        yield from _template_problems((*place, "approval"), texts)
    for place, transition in subject.transitions:
        for index, call in enumerate(transition.effects):
            yield from _template_problems((*place, "effects", index, "parameters"), call.parameters)


def _template_problems(place: Place, value: Any) -> Iterator[Problem]:
    match value:
        case str():
            for message in template_problems(value):
                yield Problem("INVALID_TEMPLATE", at(*place), message)
        case Mapping():
            for key, item in value.items():
                yield from _template_problems((*place, key), item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _template_problems((*place, index), item)
        case _:
            pass


def _providers(subject: Subject) -> Iterator[Problem]:
    for state_place, state in subject.states:
        ask, place = state.provider, (*state_place, "provider")
        if ask is None:
            continue
        if state.is_terminal or state.asks_humans:
            kind = "is terminal" if state.is_terminal else "asks humans"
            yield Problem("PROVIDER_NEVER_ASKED", at(*place), f"{state.id} {kind}; ask the provider in a state before")
        offered = [t.signal for t in subject.definition.exits(state.id) if "ai-agent" in t.actors]
        for index, name in enumerate(ask.signals):
            if not subject.may_take(state.id, name, "ai-agent"):
                message = f"'{name}' is no signal an ai-agent may send in {state.id}{suggestion(name, offered)}"
                yield Problem("INVALID_PROVIDER_SIGNAL", at(*place, "signals", index), message)
        if ask.on_failure is None:
            message = f"a model that is away or unsure leaves the loop in {state.id}; name a way to a human"
            yield Problem("NO_FAILURE_PATH", at(*place, "onFailure"), message, "warning")
        else:
            yield from _result_signal(subject, (*place, "onFailure"), state.id, ask.on_failure, "system")


def _effects(subject: Subject) -> Iterator[Problem]:
    terminal = {state.id for state in subject.definition.states if state.is_terminal}
    for place, transition in subject.transitions:
        for index, call in enumerate(transition.effects):
            yield from _call(subject, (*place, "effects", index), transition, call, transition.to in terminal)


def _call(
    subject: Subject, place: Place, transition: Transition, call: IntegrationCall, ends: bool
) -> Iterator[Problem]:
    for key, name in (("onSuccess", call.on_success), ("onFailure", call.on_failure)):
        if name is not None:
            yield from _result_signal(subject, (*place, key), transition.to, name, "automation")
    if call.on_failure is None and not ends:
        message = f"a failed '{call.action}' leaves the loop in {transition.to} and nobody is told; name a signal"
        yield Problem("NO_FAILURE_PATH", at(*place, "onFailure"), message, "warning")


def _result_signal(
    subject: Subject, place: Place, state_id: str, name: str, actor_type: ActorType
) -> Iterator[Problem]:
    """A result arrives in *state_id* as the signal *name* from Loopgate itself or from the integration's service."""
    if not subject.may_take(state_id, name, actor_type):
        exits = [each.signal for each in subject.definition.exits(state_id) if actor_type in each.actors]
        message = f"'{name}' is no signal the actor '{actor_type}' may send in {state_id}{suggestion(name, exits)}"
        yield Problem("INVALID_RESULT_SIGNAL", at(*place), message)


_RULES: tuple[Callable[[Subject], Iterator[Problem]], ...] = (
    _version,
    _ids,
    _references,
    _duplicates,
    _signal_cycles,
    _completion,
    _outcome,
    _guards,
    _templates,
    approval_problems,
    _providers,
    _effects,
)
