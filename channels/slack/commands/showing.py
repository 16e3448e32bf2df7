"""What people look up: what waits, how a thing stands, its history, who may decide it, which loops there are."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from channels.slack import wording as card_words
from channels.slack.commands import wording
from channels.slack.commands.parsing import Typed
from channels.slack.commands.wanting import wanted
from channels.slack.course import so_far
from channels.slack.listening import Desk
from channels.slack.mrkdwn import inline, quoted, when
from channels.slack.ports import Entitled
from channels.slack.shortening import summary
from channels.slack.threads import told
from channels.slack.why import why_lines
from loops.actors import Human
from loops.approvals import ApprovalRequest
from loops.definition import LoopDefinition
from loops.ports import Loaded

#: What one page of each list holds.
PENDING_PAGE, HISTORY_PAGE, DEFINITIONS_PAGE = 15, 12, 20
#: Requests looked through for those a list is narrowed down to.
LOOKED_THROUGH = 200
#: Things an id may mean that are offered.
MEANT_MAX = 6
NAME_MAX, TITLE_MAX, FACTS_MAX, DECISIONS_MAX, DEAD_MAX = 80, 150, 8, 10, 5
WHO_MAX = 30

Lines = list[str]

T = TypeVar("T")


class Showing:
    """Answers that only read."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def pending(self, typed: Typed, by: Human, command: str) -> Lines:
        """List what waits, all of it or what concerns somebody or something."""
        found, has_more = await self._desk.gate.open_requests(self._desk.tenant, limit=LOOKED_THROUGH)
        mine = await self._desk.gate.waiting_for(found, by)
        word = typed.rest
        match word.lower():
            case "":
                kept, whose = list(found), None
            case "mine" | "me":
                kept, whose = list(mine), wording.PENDING_MINE
            case _:
                kept, whose = await self._narrowed(found, word, by)
        if not kept and not has_more:
            if whose is None:
                return [wording.NOTHING_PENDING]
            return [wording.NOTHING_FOR_YOU if whose == wording.PENDING_MINE else wording.nothing_pending_there(whose)]
        page, following = _page(kept, typed.page, PENDING_PAGE)
        if not page and typed.page > 1:
            return wording.no_more_pages(typed.page)
        lines = [wording.pending_head(len(kept), has_more=has_more, whose=whose)]
        allowed = {each.request.request_id for each in mine if each.request}
        for subject in page:
            names = await self._desk.names(subject.request) if subject.request else {}
            lines += _pending(subject, allowed, names)
        if following:
            lines.append(wording.next_page(f"pending {_plain(word)}".strip(), typed.page + 1, command))
        return lines

    async def _narrowed(self, found: Sequence[Loaded], word: str, by: Human) -> tuple[list[Loaded], str]:
        """Return what belongs to the loop or group *word*; ``group`` alone means the groups of who asks."""
        groups = {word.casefold()}
        if word.casefold() == "group":
            person = await self._desk.directory.person(self._desk.tenant, by.user_id)
            groups = {group.casefold() for group in person.groups} if person else set()
        of_groups = [each for each in found if groups & _groups(each)]
        of_loop = [each for each in found if word.casefold() in each.instance.loop_id.casefold()]
        return of_groups or of_loop, inline(word, NAME_MAX).text

    async def show(self, subject: Loaded, command: str) -> Lines:
        """Say how one thing stands."""
        instance, request = subject.instance, subject.request
        aggregate = _name(instance.aggregate_id)
        lines = [f"*{aggregate}*" + (f"  {summary(subject, request)}" if request else "")]
        state = wording.in_state(_name(instance.loop_id), _name(instance.definition_version), "{}", instance.status)
        lines.append(state.format(_name(instance.state)))
        lines.append(wording.asked_by(_name(instance.requester.name), when(instance.started_at)))
        if request:
            facts = request.facts[:FACTS_MAX]
            lines += [card_words.fact(_name(fact.label), inline(fact.value, TITLE_MAX).text) for fact in facts]
            lines += _decided(request)
        effects = await self._desk.gate.effects_of(self._desk.tenant, instance.instance_id)
        for effect in [each for each in effects if each.is_retriable][:DEAD_MAX]:
            error = quoted(effect.error, TITLE_MAX) if effect.error else None
            lines.append(wording.given_up(_name(effect.name), _name(effect.effect_id), error, command))
        request_id = _name(request.request_id) if request else None
        lines.append(wording.ids(request_id, _name(instance.instance_id)))
        lines.append(wording.look_further(aggregate, command))
        return lines

    async def history(self, subject: Loaded, typed: Typed, command: str) -> Lines:
        """Tell a stretch of the ledger, the last one first."""
        instance = subject.instance
        total = instance.head.sequence
        last = total - (typed.page - 1) * HISTORY_PAGE
        if last < 1:
            return wording.no_more_pages(typed.page)
        after = max(0, last - HISTORY_PAGE)
        events = await self._desk.gate.events(self._desk.tenant, instance.instance_id, after=after, limit=last - after)
        aggregate = _name(instance.aggregate_id)
        lines = [wording.history_head(aggregate, after + 1, last, total)]
        names = await self._desk.names_in(events)
        lines += [f"`{event.sequence}` {when(event.occurred_at)}  {told(event, names)}" for event in events]
        if after:
            lines.append(wording.next_page(f"history {_plain(instance.aggregate_id)}", typed.page + 1, command))
        return lines

    async def who(self, subject: Loaded, by: Human) -> Lines:
        """Say who may decide a request, who has, and what keeps the others."""
        request = subject.request
        aggregate = _name(subject.instance.aggregate_id)
        if request is None or not request.is_open:
            decided = _decided(request) if request else []
            return [*wording.nobody_asked(f"*{aggregate}*"), *decided]
        needs = request.policy.named(await self._desk.names(request))
        lines = [wording.who_head(_headed(request), inline(needs, 4 * NAME_MAX).text)]
        lines += _decided(request)
        entitled = await self._desk.gate.entitled(subject)
        for each in entitled[:WHO_MAX]:
            lines.append(_entitled(each))
        if len(entitled) > WHO_MAX:
            lines.append(wording.more_lines(len(entitled) - WHO_MAX))
        if all(each.why_not for each in entitled):
            lines.append(wording.NOBODY_MAY)
        found = await self._desk.gate.explain(request.request_id, by, tenant=self._desk.tenant)
        return [*lines, *why_lines(found)] if found and not found.stop else lines

    def definitions(self, typed: Typed, command: str) -> Lines:
        """List the loops there are."""
        known = sorted(self._desk.gate.definitions().values(), key=lambda each: each.id)
        if not known:
            return [wording.NO_DEFINITIONS]
        page, following = _page(known, typed.page, DEFINITIONS_PAGE)
        lines = [line for each in page for line in _definition(each)]
        if following:
            lines.append(wording.next_page("definitions", typed.page + 1, command))
        return lines or wording.no_more_pages(typed.page)


def _pending(subject: Loaded, allowed: set[str], names: Mapping[str, str]) -> Lines:
    request = subject.request
    if request is None:
        return []
    parts = [_name(request.loop_name), wording.asked(when(request.created_at))]
    if approvals := so_far(request):
        parts.append(approvals)
    if request.expires_at:
        parts.append(wording.decided_by(when(request.expires_at)))
    parts.append(inline(request.policy.named(names), NAME_MAX).text)
    if request.request_id in allowed:
        parts.append(wording.YOU_MAY)
    return [wording.pending_line(_headed(request)), wording.pending_more(parts)]


def _definition(definition: LoopDefinition) -> Lines:
    from_ = ", ".join(_name(path) for path in wanted(definition))
    line = wording.definition(
        _name(definition.id), _name(definition.version), inline(definition.description or definition.name, 300).text
    )
    return [line, wording.starts_with(from_)] if from_ else [line]


def _decided(request: ApprovalRequest) -> Lines:
    lines = []
    for decision in request.decisions[:DECISIONS_MAX]:
        offered = request.answer(decision.transition_id)
        answer = _name(offered.label if offered else decision.transition_id)
        lines.append(wording.gave(inline(decision.name, 2 * NAME_MAX).text, answer, when(decision.at)))
    return lines


def _entitled(each: Entitled) -> str:
    name = _name(each.person.name)
    if each.why_not:
        line = wording.may_not(name, inline(each.why_not, TITLE_MAX).text)
    elif each.in_stead_of:
        line = wording.may_for(name, [_name(absent) for absent in each.in_stead_of])
    else:
        line = wording.may(name)
    if each.away_until is None:
        return line
    return wording.is_away(line, when(each.away_until), _name(each.away_to) if each.away_to else None)


def _groups(subject: Loaded) -> set[str]:
    policy = subject.request.proposal.policy if subject.request else None
    gates = policy.gates if policy else ()
    return {group.casefold() for stage in gates for need in stage.needs for group in need.groups}


def _page(things: Sequence[T], number: int, size: int) -> tuple[Sequence[T], bool]:
    start = (number - 1) * size
    return things[start : start + size], len(things) > start + size


def _headed(request: ApprovalRequest) -> str:
    """Return the business object and the title, which often begins with it."""
    aggregate, title = _name(request.aggregate_id), _title(request)
    return f"*{title}*" if title.startswith(aggregate) else f"*{aggregate}*  {quoted(request.title, TITLE_MAX)}"


def _title(request: ApprovalRequest) -> str:
    return inline(request.title, TITLE_MAX).text


def _name(text: str) -> str:
    return inline(text, NAME_MAX).text


def _plain(text: str) -> str:
    return _name(text) if text else ""
