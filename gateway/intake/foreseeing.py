"""Foreseeing: what would become of a delivery, said without writing anything. For whoever sets up a source."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from gateway.intake.config import SourceConfig
from gateway.intake.mapping import CancelCommand, Command, Ignored, Problems, SignalCommand, StartCommand
from loops.definition import LoopDefinition
from loops.ports import Loaded


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would be answered: a status word of the endpoint, why, and what the loop would be given."""

    status: str
    why: str
    given: Mapping[str, Any]

    @property
    def is_taken(self) -> bool:
        """Whether the sender would get a 2xx."""
        return self.status != "refused"


def foresee(
    source: SourceConfig,
    meaning: Command | Ignored | Problems,
    definitions: Mapping[str, LoopDefinition],
    subject: Loaded | None,
) -> Foreseen:
    """
    Return what would become of *meaning* now.

    Guards, which need evidence and the moment, are not judged.

    Args:
        definitions: Those new instances may be started from.
        subject: The latest instance on the command's aggregate, if there is one.
    """
    match meaning:
        case Ignored(reason=reason):
            return Foreseen("ignored", reason, {})
        case Problems(fields=fields):
            return Foreseen("refused", "the delivery lacks what the source's rule needs", fields)
        case StartCommand():
            return _start(meaning, definitions, subject)
        case SignalCommand():
            return _signal(source, meaning, subject)
        case CancelCommand():
            return _cancel(meaning, subject)
        case _:
            assert_never(meaning)


def _start(command: StartCommand, definitions: Mapping[str, LoopDefinition], subject: Loaded | None) -> Foreseen:
    given = {"loop": command.loop_id, "aggregateId": command.aggregate_id, "data": dict(command.data)}
    if command.loop_id not in definitions:
        known = ", ".join(sorted(definitions)) or "none"
        return Foreseen("refused", f"there is no loop '{command.loop_id}'; there are {known}", given)
    if subject and not subject.instance.is_over:
        why = f"{command.aggregate_id} has an active loop, {subject.instance.loop_id} in {subject.instance.state}"
        return Foreseen("refused", why, given)
    return Foreseen("started", f"{command.loop_id} begins in {definitions[command.loop_id].initial_state}", given)


def _signal(source: SourceConfig, command: SignalCommand, subject: Loaded | None) -> Foreseen:
    given = {"signal": command.signal, "aggregateId": command.aggregate_id, "evidence": dict(command.evidence)}
    if closed := _nothing_runs(command.aggregate_id, subject):
        return Foreseen("refused", closed, given)
    assert subject is not None, "nothing runs without one"  # noqa: S101 - for the type checker
    state = subject.instance.state
    found = [
        transition
        for transition in subject.definition.transitions
        if transition.from_ == state and command.signal in {transition.id, transition.signal}
    ]
    if not found:
        offered = sorted({each.signal for each in subject.definition.transitions if each.from_ == state})
        return Foreseen("refused", f"{state} knows no signal '{command.signal}'; it knows {', '.join(offered)}", given)
    if "automation" not in found[0].actors:
        why = f"{source.actor.service_id} is automation, and {found[0].id} is for {', '.join(found[0].actors)}"
        return Foreseen("refused", why, given)
    return Foreseen("signalled", f"{state} -> {found[0].to}, if the guards let it", given)


def _cancel(command: CancelCommand, subject: Loaded | None) -> Foreseen:
    given = {"aggregateId": command.aggregate_id, "reason": command.reason}
    if closed := _nothing_runs(command.aggregate_id, subject):
        return Foreseen("refused", closed, given)
    assert subject is not None, "nothing runs without one"  # noqa: S101 - for the type checker
    return Foreseen("cancelled", f"{subject.instance.loop_id} ends in {subject.instance.state}", given)


def _nothing_runs(aggregate_id: str, subject: Loaded | None) -> str | None:
    if subject is None:
        return f"nothing runs on {aggregate_id}"
    return f"{aggregate_id} is {subject.instance.status}" if subject.instance.is_over else None
