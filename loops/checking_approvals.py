"""Checking approvals: whether humans are asked, can be asked, and can ever say yes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loops.decide import PARKED_ACTORS
from loops.definition import HUMAN_STATE_PREFIX, Transition
from loops.durations import format_duration
from loops.editable import editable_problems
from loops.policy import AnswerKind, ApprovalPolicy, EscalationStep, Need
from loops.problems import Place, Problem, Severity, at, suggestion
from loops.quorum import fill
from loops.subject import Subject


@dataclass(frozen=True, slots=True)
class _Gate:
    """
    Somewhere humans are asked: a state, or a transition that is parked until they approve.

    `place` is that of its policy, `state_id` the state in which it is asked. `written` is whether there is a policy at
    all, or only the default.
    """

    place: Place
    state_id: str
    policy: ApprovalPolicy
    written: bool
    parked: Transition | None = None

    @property
    def named(self) -> str:
        return f"transition '{self.parked.id}'" if self.parked else self.state_id


def approval_problems(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with the approvals of a definition."""
    yield from _never_asked(subject)
    for gate in _gates(subject):
        if not gate.parked:
            yield from _exits(subject, gate)
        yield from _who(gate)
        yield from _answers(subject, gate)
        yield from _times(subject, gate)
        yield from editable_problems(gate.policy.editable, (*gate.place, "editable"))


def _gates(subject: Subject) -> Iterator[_Gate]:
    for place, state in subject.states:
        if state.asks_humans:
            policy = state.approval or ApprovalPolicy()
            yield _Gate((*place, "approval"), state.id, policy, written=state.approval is not None)
    for place, transition in subject.transitions:
        if transition.approval:
            here = (*place, "approval")
            yield _Gate(here, transition.from_, transition.approval, written=True, parked=transition)


def _never_asked(subject: Subject) -> Iterator[Problem]:
    asking = {state.id for _, state in subject.states if state.asks_humans}
    for place, state in subject.states:
        if state.approval and not state.asks_humans:
            message = f"{state.id} never asks anybody; call it {HUMAN_STATE_PREFIX}{state.id} or remove its approval"
            yield Problem("APPROVAL_NEVER_ASKED", at(*place, "approval"), message)
    for place, transition in subject.transitions:
        if not transition.approval:
            continue
        path = at(*place, "approval")
        if transition.from_ in asking:
            message = f"{transition.from_} asks humans itself; put the policy on the state, or remove it here"
            yield Problem("APPROVAL_NEVER_ASKED", path, message)
        elif not PARKED_ACTORS.intersection(transition.actors):
            who = " or ".join(sorted(PARKED_ACTORS))
            message = f"only what an {who} asks is parked, and '{transition.id}' lists neither among its actors"
            yield Problem("APPROVAL_NEVER_ASKED", path, message)


def _exits(subject: Subject, gate: _Gate) -> Iterator[Problem]:
    exits = subject.definition.human_exits(gate.state_id)
    if not exits:
        message = f"{gate.state_id} asks humans, but no transition out of it lists the actor 'human'"
        yield Problem("NO_HUMAN_EXIT", at(*gate.place[:-1]), message)
    approvals = [transition for kind, transition in exits if kind == "approve"]
    yield from _not_offered(subject, exits)
    for index, transition in subject.transitions:
        if transition.from_ != gate.state_id:
            continue
        path = subject.written(index, "actors", "allowedActors")
        others = [actor for actor in transition.actors if actor not in ("human", "ai-agent")]
        if "ai-agent" in transition.actors:
            message = (
                f"an ai-agent may take '{transition.id}' out of {gate.state_id}: no model decides what humans are asked"
            )
            yield Problem("AI_MAY_DECIDE", path, message)
        if others and transition in approvals:
            message = f"'{transition.id}' may also be taken by {' and '.join(others)}, without anybody's approval"
            yield Problem("APPROVAL_BYPASS", path, message, "warning")


def _not_offered(subject: Subject, exits: Sequence[tuple[AnswerKind, Transition]]) -> Iterator[Problem]:
    shown = [next((each for found, each in exits if found == kind), None) for kind in ("approve", "reject")]
    # Where no exit approves, that is what is wrong, and is said elsewhere.
    hidden = [each for _, each in exits if each.effects and each not in shown] if shown[0] else []
    for place, transition in subject.transitions:
        if transition in hidden:
            message = (
                f"'{transition.id}' is never offered: a card shows what one approval and one rejection run, no more; "
                "remove its effects, or name it under approval.answers"
            )
            yield Problem("ANSWER_NOT_OFFERED", at(*place, "effects"), message)


def _who(gate: _Gate) -> Iterator[Problem]:
    policy, found = gate.policy, False
    of_named: list[Need] = []
    for place, need in _needs(gate):
        users = set(need.users)
        spare = any(step.entitles and (not policy.stages or step.need == need.name) for step in policy.escalate)
        if not users and not need.groups and not spare:
            found = True
            message = f"nobody may decide {gate.named}: every answer is refused until approvers are named"
            # A file of the family has no policies; what is written here and names nobody is a mistake.
            yield Problem("NO_APPROVERS", at(*place), message, "error" if gate.written else "warning")
        elif not need.groups and not spare and need.quorum > len(users):
            found = True
            message = f"a quorum of {need.quorum} is out of reach for {len(users)} named; name more people or a group"
            yield Problem("QUORUM_OUT_OF_REACH", at(*gate.place, *_quorum_key(gate, place)), message)
        elif not need.groups and not spare:
            of_named.append(need)
    named = {
        user: [slot for slot, need in enumerate(of_named) if user in need.users]
        for need in of_named
        for user in need.users
    }
    wanted = sum(need.quorum for need in of_named)
    if not found and sum(fill([need.quorum for need in of_named], named)) < wanted:
        message = (
            f"{len(named)} named people cannot fill {wanted} slots: each counts once in the whole request; "
            "name more people or a group"
        )
        yield Problem("QUORUM_OUT_OF_REACH", at(*gate.place, "stages"), message)


def _needs(gate: _Gate) -> Iterator[tuple[Place, Need]]:
    """Yield every need with the place that names its people."""
    for stage_index, stage in enumerate(gate.policy.gates):
        for index, need in enumerate(stage.needs):
            inside = ("stages", stage_index, "needs", index) if gate.policy.stages else ("approvers",)
            yield (*gate.place, *inside), need


def _quorum_key(gate: _Gate, place: Place) -> Place:
    return (*place[len(gate.place) :], "quorum") if gate.policy.stages else ("quorum",)


def _answers(subject: Subject, gate: _Gate) -> Iterator[Problem]:
    policy, place = gate.policy, gate.place
    if gate.parked:
        if policy.answers:
            message = f"humans approve '{gate.parked.id}' itself or reject it; there is no answer to name"
            yield Problem("UNKNOWN_ANSWER", at(*place, "answers"), message)
        return
    exits = subject.definition.human_exits(gate.state_id)
    names = [transition.id for _, transition in exits]
    for answer, name in policy.answers.items():
        if name not in names:
            message = f"'{name}' is no transition a human may take out of {gate.state_id}{suggestion(name, names)}"
            yield Problem("UNKNOWN_ANSWER", at(*place, "answers", answer), message)
    for kind in ("approve", "reject"):
        alike = [transition.id for each, transition in exits if each == kind]
        if len(alike) > 1:
            message = (
                f"{' and '.join(alike)} both look like {kind}; say which one is: `answers: {{{kind}: {alike[0]}}}`"
            )
            severity: Severity = "error" if kind == "approve" else "warning"
            yield Problem("AMBIGUOUS_ANSWERS", at(*place, "answers"), message, severity)
    wanted = sum(need.quorum for _, need in _needs(gate))
    if wanted > 1 and not any(kind == "approve" for kind, _ in exits):
        # Only approvals are counted: any other answer moves the loop at once, by one person.
        message = f"a quorum of {wanted} counts approvals, and no answer is one; name it: `answers: {{approve: ...}}`"
        yield Problem("QUORUM_WITHOUT_APPROVAL", at(*place, "stages" if policy.stages else "quorum"), message)


def _times(subject: Subject, gate: _Gate) -> Iterator[Problem]:
    policy, place, state_id = gate.policy, gate.place, gate.state_id
    name = policy.on_expiry
    if name and not subject.may_take(state_id, name, "system"):
        exits = [each.id for each in subject.definition.exits(state_id) if "system" in each.actors]
        message = f"'{name}' is no transition the system may take out of {state_id}{suggestion(name, exits)}"
        yield Problem("INVALID_ON_EXPIRY", at(*place, "onExpiry"), message)
    if name and _approves(subject, gate, name):
        message = f"'{name}' is what Approve takes; silence never approves, so name another transition"
        yield Problem("INVALID_ON_EXPIRY", at(*place, "onExpiry"), message)
    if name and policy.expire_after is None:
        message = "never happens: the policy has no expireAfter"
        yield Problem("ON_EXPIRY_WITHOUT_TIME", at(*place, "onExpiry"), message, "warning")
    if policy.hours and policy.calendar:
        message = f"the hours are written here and in the calendar '{policy.calendar}'; keep one of the two"
        yield Problem("HOURS_TWICE", at(*place, "calendar"), message)
    times = [("remindAfter", at(*place, "remindAfter"), policy.remind_after)]
    for index, step in enumerate(policy.escalate):
        times.append((f"escalate.{index}.after", at(*place, "escalate", index, "after"), step.after))
        if step.channel is None and not step.entitles:
            message = "an escalation needs a channel, groups, or somebody on call"
            yield Problem("EMPTY_ESCALATION", at(*place, "escalate", index), message)
        yield from _joins(policy, step, (*place, "escalate", index))
    times.append(("expireAfter", at(*place, "expireAfter"), policy.expire_after))
    set_times = [(key, path, span) for key, path, span in times if span is not None]
    for (earlier, _, first), (later, path, second) in pairwise(set_times):
        if first >= second:
            message = f"{later} ({format_duration(second)}) must be longer than {earlier} ({format_duration(first)})"
            yield Problem("TIMES_OUT_OF_ORDER", path, message)


def _joins(policy: ApprovalPolicy, step: EscalationStep, place: Place) -> Iterator[Problem]:
    names = [need.name for stage in policy.stages for need in stage.needs if need.name]
    if step.need and step.need not in names:
        known = suggestion(step.need, names) if policy.stages else "; there is but one need, so leave this out"
        yield Problem("ESCALATION_NEED", at(*place, "need"), f"'{step.need}' is the name of no need{known}")
    elif policy.stages and step.entitles and not step.need:
        message = "which need may they fill? With stages, name it: `need: ...`"
        yield Problem("ESCALATION_NEED", at(*place), message)


def _approves(subject: Subject, gate: _Gate, name: str) -> bool:
    if gate.parked:
        return subject.definition.exit_named(gate.state_id, name) == gate.parked
    return subject.approves(gate.state_id, name)
