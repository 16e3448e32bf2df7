"""
The course of a request so far, for its card: how far the approvals are, versions, questions, parts handed over.

Pure, and within a budget of its own: the latest comes first where not all of it fits, and what does not is counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.mrkdwn import code, exact, inline, quoted, size, when
from channels.slack.quoting import shortened
from channels.slack.shown import INFORM, More
from loops.actors import Actor
from loops.approvals import ApprovalRequest, Decision, Progress, Question
from loops.editing import Change
from loops.policy import Need, Stage

#: What people are called, by id; and of those whom nothing calls otherwise.
Names = Mapping[str, str]
NO_NAMES: Names = MappingProxyType({})

NAME_MAX = 80
#: People named one by one: those whose approvals count, and those whose do not any more.
NAMES_MAX, GONE_MAX = 5, 3
WHO_MAX, STANDING_MAX = 60, 400
CHANGES_MAX, PATH_MAX, VALUE_MAX = 5, 60, 70
QUESTIONS_MAX, QUESTION_MAX, REPLY_MAX, LINES_MAX = 2, 240, 240, 6
HANDOVERS_MAX, HANDOVER_REASON_MAX = 2, 100


def name_of(actor: Actor) -> str:
    """Return what people call *actor*, escaped."""
    return inline(actor.name, NAME_MAX).text


def decider(decision: Decision) -> str:
    """Return who gave *decision*, escaped: ``Bea``, or ``Bea for Ann``."""
    return inline(decision.name, NAME_MAX).text


def named(decisions: Sequence[Decision]) -> list[str]:
    """Return who gave *decisions* and when; past `NAMES_MAX`, how many more."""
    names = [f"*{decider(decision)}* ({when(decision.at)})" for decision in decisions[:NAMES_MAX]]
    left = len(decisions) - len(names)
    return [*names, wording.more_people(left)] if left else names


def is_shared(request: ApprovalRequest) -> bool:
    """Return whether it takes more than one person to approve."""
    gates = request.policy.gates
    return len(gates) > 1 or sum(need.quorum for need in gates[0].needs) > 1


def counted(request: ApprovalRequest) -> tuple[Decision, ...]:
    """Return the approvals that count, as of the latest."""
    lapsed = request.progress.lapsed if request.progress else ()
    return tuple(decision for decision in request.approvals if decision.by.user_id not in lapsed)


def so_far(request: ApprovalRequest) -> str | None:
    """Return how many approvals of all stages there are, of how many; None where one person is enough."""
    if not is_shared(request):
        return None
    quorum = sum(need.quorum for stage in request.policy.gates for need in stage.needs)
    return wording.approvals_so_far(len(counted(request)), quorum)


def standing(request: ApprovalRequest, names: Names = NO_NAMES) -> str:
    """Return how far the approvals are: ``1 of 2 sre; then 1 of Dana``; *names* are those of people, by id."""
    gates = request.policy.gates
    reached = request.progress or Progress(stage=0, filled=(0,) * len(gates[0].needs))
    if len(gates) == 1 and len(gates[0].needs) == 1 and not gates[0].needs[0].name:
        return wording.approvals_so_far(reached.filled[0] if reached.filled else 0, gates[0].needs[0].quorum)
    parts, room = list[str](), STANDING_MAX
    for number, stage in enumerate(gates):
        text = _stage(stage, number, reached, names)
        if size(text) > room:
            return "; ".join([*parts, wording.more_stages(len(gates) - number)])
        room -= size(text) + 2
        parts.append(text)
    return "; ".join(parts)


def not_counted(request: ApprovalRequest) -> Iterator[str]:
    """Yield whose approvals count no more, and why."""
    lapsed = request.progress.lapsed if request.progress else ()
    if gone := _people([decision for decision in request.approvals if decision.by.user_id in lapsed]):
        yield wording.lapsed(gone)
    if gone := _people(request.voided):
        yield wording.voided(gone)


def versions(request: ApprovalRequest) -> Iterator[Block]:
    """Yield what was edited, by whom, old and new."""
    if request.version == 1:
        return
    changes = net_changes(request.changes)
    lines = [wording.edited(request.version, _editors(request)), *(_change(each) for each in changes[:CHANGES_MAX])]
    if left := len(changes) - CHANGES_MAX:
        lines += [wording.more_items(left, "change")] if left > 0 else []
    yield b.section("\n".join(lines))


def net_changes(changes: Sequence[Change]) -> list[Change]:
    """Return one change for each path that is different now, from what it was at first."""
    net: dict[str, Change] = {}
    for change in changes:
        first = net.get(change.path, change)
        net[change.path] = Change(path=change.path, old=first.old, new=change.new)
    return [change for change in net.values() if exact(change.old) != exact(change.new)]


def questions(request: ApprovalRequest, *, is_open: bool) -> Iterator[Block]:
    """Yield the latest questions with their answers; where *is_open*, each unanswered one with its Answer button."""
    shown = request.questions[-QUESTIONS_MAX:]
    if left := len(request.questions) - len(shown):
        yield b.context(wording.more_items(left, "earlier question"))
    for number, question in enumerate(shown):
        block = b.section(_question(question))
        if is_open and question.answer is None:
            value = More(request_id=request.request_id, question_id=question.question_id).encode()
            block["accessory"] = b.button(wording.ANSWER_QUESTION, INFORM, value)
            block["block_id"] = f"{INFORM}.{number}"
        yield block


def handovers(request: ApprovalRequest, names: Names = NO_NAMES) -> Iterator[Block]:
    """Yield who handed their part to whom."""
    shown = request.reassignments[-HANDOVERS_MAX:]
    lines = [
        wording.handed_over(
            name_of(each.by),
            inline(names.get(each.to_person, each.to_person), NAME_MAX).text,
            quoted(each.reason, HANDOVER_REASON_MAX) if each.reason else None,
        )
        for each in shown
    ]
    if left := len(request.reassignments) - len(shown):
        lines.append(wording.more_items(left, "earlier hand-over"))
    if lines:
        yield b.context("\n".join(lines))


def _stage(stage: Stage, number: int, reached: Progress, names: Names) -> str:
    if number < reached.stage:
        return wording.stage_done(" and ".join(wording.need(each.quorum, _who(each, names)) for each in stage.needs))
    if number > reached.stage:
        return wording.stage_later(" and ".join(wording.need(each.quorum, _who(each, names)) for each in stage.needs))
    filled = reached.filled or (0,) * len(stage.needs)
    return " and ".join(
        wording.need_so_far(have, each.quorum, _who(each, names))
        for have, each in zip(filled, stage.needs, strict=False)
    )


def _who(need: Need, names: Names) -> str:
    return inline(need.who(names), WHO_MAX).text


def _people(decisions: Sequence[Decision]) -> list[str]:
    names = list(dict.fromkeys(f"*{decider(decision)}*" for decision in decisions))
    left = len(names) - GONE_MAX
    return [*names[:GONE_MAX], wording.more_people(left)] if left > 0 else names


def _editors(request: ApprovalRequest) -> list[str]:
    """Whoever edits approves with it, and so is the first to have answered the version they made."""
    first: dict[int, Decision] = {}
    for decision in (*request.voided, *request.decisions):
        first.setdefault(decision.request_version, decision)
    return _people([decision for version, decision in sorted(first.items()) if version > 1])


def _change(change: Change) -> str:
    return wording.changed(inline(change.path, PATH_MAX).text, _value(change.old), _value(change.new))


def _value(value: object) -> str:
    if value is None:
        return wording.NO_VALUE
    shown = code(exact(value))
    return shown if size(shown) <= VALUE_MAX else wording.LONG_VALUE


def _question(question: Question) -> str:
    asked = shortened(question.text, QUESTION_MAX, lines=LINES_MAX)
    text = f"{wording.asks(name_of(question.by), when(question.at))}\n{asked}"
    if question.answer is None or question.answered_by is None:
        return text
    at = when(question.answered_at) if question.answered_at else None
    head = wording.replies(name_of(question.answered_by), question.answered_by.type, at)
    return f"{text}\n{head}\n{shortened(question.answer, REPLY_MAX, lines=LINES_MAX)}"
