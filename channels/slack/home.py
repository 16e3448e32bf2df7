"""
The Home tab: what waits for one person, what they asked for, what they decided lately. They decide in place.

A projection like every card: drawn anew whenever it is opened, after every decision made on it, and, for those who
looked lately, soon after anything changed (see `following`).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from slack_bolt import BoltResponse
from slack_sdk.errors import SlackApiError

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.bulk import BULK_VIEW, bulk_button, groups_of
from channels.slack.card import render
from channels.slack.course import so_far
from channels.slack.deliveries import Click, EventCallback, Submission
from channels.slack.errors import error_code
from channels.slack.evidence import KIND
from channels.slack.listening import LOAD_S, SLACK_ERRORS, VIEW_S, Desk, done, log, soon, started
from channels.slack.mrkdwn import code, inline, when
from channels.slack.ports import Openers
from channels.slack.shortening import short_digest, summary
from channels.slack.shown import ANSWER, ASK, DETAILS, EDIT, HOME_PAGE, MORE, Asked, NotOurs
from channels.slack.views import View
from loops.actors import Human
from loops.approvals import ApprovalRequest
from loops.errors import Unavailable
from loops.ports import ChannelIdentity, Loaded

#: What the tab holds at most: requests to decide on one page, requests asked for, decisions, loops counted. With four
#: blocks for each request it stays below the 100 blocks of a view.
WAITING_MAX, ASKED_MAX, DECIDED_MAX, LOOPS_MAX = 15, 6, 6, 10
#: Requests looked through for those.
LOOKED_THROUGH = 100
#: People whose tabs follow what happens, and for how long after they looked.
FOLLOWED_MAX, FOLLOWED_FOR = 20, timedelta(hours=8)
NAME_MAX, TITLE_MAX, FACT_MAX, FACTS_MAX, RUNS_MAX = 80, 150, 120, 6, 3


@dataclass(frozen=True, slots=True)
class Standing:
    """What concerns one person. `has_more` says that not everything that waits was looked through."""

    by: Human
    waiting: Sequence[Loaded]
    asked: Sequence[Loaded]
    decided: Sequence[Loaded]
    everything: Sequence[Loaded]
    has_more: bool


class Home:
    """
    Publishes the Home tab: when it is opened, after what was done on it, and when requests change.

    *openers* remembers who looks at theirs; without it nobody's tab follows what others do.
    """

    def __init__(self, desk: Desk, openers: Openers | None = None) -> None:
        self._desk = desk
        self._openers = openers

    async def open(self, happened: EventCallback) -> BoltResponse:
        """Publish the tab to whoever opened it."""
        event = happened.event
        if event.tab == "home" and event.user is not None and happened.team_id == self._desk.installation.team_id:
            await self._publish(event.user, event.view.hash if event.view else None, started())
        return done()

    async def draw_again(self) -> int:
        """Draw the tab of everybody who opened theirs lately; return how many. May raise StoreUnavailable."""
        if self._openers is None:
            return 0
        lookers = await self._openers.recent(self._desk.installation.team_id, limit=FOLLOWED_MAX)
        for user in lookers:
            await self._draw(user, None, started())
        return len(lookers)

    async def turn(self, click: Click) -> BoltResponse:
        """Publish another page of what waits."""
        await self._publish(
            click.user.id, click.view.hash if click.view else None, started(), page_named(click.actions[0].value)
        )
        return done()

    def then_anew(self, listen: Callable[[Any], Awaitable[BoltResponse]]) -> Callable[[Any], Awaitable[BoltResponse]]:
        """Return *listen*, with the tab drawn anew before the ack where what it took was done on the tab."""

        async def listener(delivery: Click | Submission) -> BoltResponse:
            deadline = started()
            response = await listen(delivery)
            if response.status == 200 and _from_home(delivery):
                tab = delivery.view if isinstance(delivery, Click) else None
                page = page_named(tab.private_metadata if tab else None)
                await self._publish(delivery.user.id, tab.hash if tab else None, deadline, page)
            return response

        return listener

    async def _publish(self, user: str, shown: str | None, deadline: float, page: int = 1) -> None:
        """Draw the tab for *user*, and remember that they look at it; a later page does not change under their eyes."""
        await self._draw(user, shown, deadline, page)
        if self._openers is None:
            return
        team = self._desk.installation.team_id
        try:
            remembered = self._openers.opened(team, user, FOLLOWED_FOR) if page == 1 else self._openers.left(team, user)
            await soon(remembered, max(0.0, deadline - asyncio.get_running_loop().time()))
        except Unavailable:
            log.warning("slack.home.not_followed", error="store_unavailable")

    async def _draw(self, user: str, shown: str | None, deadline: float, page: int = 1) -> None:
        """Draw the tab for *user*. A tab other than the one with the hash *shown* is there: read and draw once more."""
        for known in (shown, None):
            left = deadline - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(min(VIEW_S, max(0.0, left))):
                    view = await self._view(user, page)
                    await self._desk.client.views_publish(user_id=user, view=view, hash=known)
            except SLACK_ERRORS as error:
                code = error_code(error) if isinstance(error, SlackApiError) else type(error).__name__
                if code == "hash_conflict":
                    continue
                log.warning("slack.home.not_published", error=code)
            return

    async def _view(self, user: str, page: int) -> View:
        team = self._desk.installation.team_id
        try:
            who = ChannelIdentity(kind=KIND, team=team, user=user)
            person = await soon(self._desk.directory.behind(self._desk.tenant, who), LOAD_S)
            if person is None:
                name, place = inline(user, NAME_MAX).text, inline(team, NAME_MAX).text
                return _tab([b.section(wording.command_unmapped(name, place))])
            return home_view(await soon(self._standing(person.as_actor(KIND)), LOAD_S), page)
        except Unavailable:
            return _tab([b.section(wording.COULD_NOT_LOAD)])

    async def _standing(self, by: Human) -> Standing:
        gate, tenant = self._desk.gate, self._desk.tenant
        everything, has_more = await gate.open_requests(tenant, limit=LOOKED_THROUGH)
        return Standing(
            by=by,
            waiting=await gate.waiting_for(everything, by),
            asked=await gate.requests_of(tenant, by.user_id, "asked", limit=ASKED_MAX),
            decided=await gate.requests_of(tenant, by.user_id, "decided", limit=DECIDED_MAX),
            everything=everything,
            has_more=has_more,
        )


def home_view(standing: Standing, page: int = 1) -> View:
    """Return the tab with this *page* of what waits, or the last. Pure; within Slack's limits whatever there is."""
    pages = max(1, -(-len(standing.waiting) // WAITING_MAX))
    page = min(page, pages)
    return _tab(list(_blocks(standing, page, pages)), page)


def _tab(blocks: Sequence[Block], page: int = 1) -> View:
    return {
        "type": "home",
        "private_metadata": str(page),
        "blocks": [*blocks, b.divider(), b.section(wording.HOME_TEXT), b.context(wording.HOME_COMMANDS)],
    }


def _blocks(standing: Standing, page: int, pages: int) -> Iterator[Block]:
    waiting = standing.waiting
    yield b.header(wording.home_waiting(len(waiting), has_more=standing.has_more))
    if not waiting:
        yield b.section(wording.HOME_NOTHING_WAITS)
    several = groups_of(waiting)
    if several:
        yield b.actions("loopgate.home.bulk", [bulk_button(group) for group in several[:5]])
    for subject in waiting[(page - 1) * WAITING_MAX : page * WAITING_MAX]:
        yield b.divider()
        yield from _request(subject)
    yield from _navigation(page, pages)
    if standing.asked:
        yield b.divider()
        yield b.header(wording.HOME_ASKED)
        yield b.section("\n".join(_line(each) for each in standing.asked))
    if standing.decided:
        yield b.divider()
        yield b.header(wording.HOME_DECIDED)
        yield b.section("\n".join(_decided(each, standing.by) for each in standing.decided))
    if standing.everything:
        yield b.divider()
        yield b.context(wording.home_counts(_counts(standing.everything), has_more=standing.has_more))


def _navigation(page: int, pages: int) -> Iterator[Block]:
    if pages == 1:
        return
    turns = [(wording.PREVIOUS, page - 1), (wording.NEXT, page + 1)]
    yield b.context(wording.page_of(page, pages))
    yield b.actions(
        "loopgate.home.pages",
        [b.button(text, f"{HOME_PAGE}{to}", str(to)) for text, to in turns if 1 <= to <= pages],
    )


def page_named(text: str | None) -> int:
    """Return the page *text* names, which came back from a client; the first one where it names none."""
    return int(text) if text and text.isascii() and text.isdigit() and 1 <= len(text) <= 3 and int(text) else 1


def _request(subject: Loaded) -> Iterator[Block]:
    request = subject.request
    if request is None:
        return
    lines = [f"*{inline(request.title, TITLE_MAX).text}*"]
    shown = request.facts[:FACTS_MAX]
    lines += [wording.fact(inline(fact.label, NAME_MAX).text, inline(fact.value, FACT_MAX).text) for fact in shown]
    if left := len(request.facts) - len(shown):
        lines.append(wording.more_items(left, "fact"))
    if request.proposal.runs:
        lines.append(wording.RUNS_IF_APPROVED)
    lines += [wording.run(_name(run.integration), _name(run.action)) for run in request.proposal.runs[:RUNS_MAX]]
    if left := len(request.proposal.runs) - RUNS_MAX:
        lines += [wording.more_items(left, "action")] if left > 0 else []
    yield b.section("\n".join(lines))
    parts = [_name(request.loop_name), code(_name(request.aggregate_id))]
    parts.append(wording.asked_by(_name(request.proposal.requester.name), request.proposal.requester.type))
    if approvals := so_far(request):
        parts.append(approvals)
    if request.expires_at:
        parts.append(wording.decide_by(when(request.expires_at)))
    parts.append(_name(short_digest(request.digest)))
    yield b.context(" · ".join(parts))
    yield b.actions(f"loopgate.home.{request.request_id}"[:255], _buttons(subject))


def _buttons(subject: Loaded) -> list[Block]:
    """Return the card's own buttons that decide or show: the tab must not offer what the card does not."""
    rows = [block for block in render(subject).blocks if block["type"] == "actions"]
    ours = (ANSWER, ASK, EDIT, DETAILS, MORE)
    return [each for row in rows for each in row["elements"] if str(each.get("action_id")).startswith(ours)][:10]


def _line(subject: Loaded) -> str:
    return f"• {summary(subject, subject.request)}" if subject.request else ""


def _decided(subject: Loaded, by: Human) -> str:
    request = subject.request
    if request is None:
        return ""
    given = [each for each in (*request.voided, *request.decisions) if each.by.user_id == by.user_id]
    answer = _answer(request, given[-1].transition_id) if given else ""
    at = when(given[-1].at) if given else ""
    return f"• {wording.you_answered(answer, at)}  {summary(subject, request)}"


def _answer(request: ApprovalRequest, transition_id: str) -> str:
    offered = request.answer(transition_id)
    return _name(offered.label if offered else transition_id)


def _counts(everything: Sequence[Loaded]) -> list[tuple[str, int]]:
    counted = Counter(each.request.loop_name for each in everything if each.request)
    return [(_name(loop), count) for loop, count in counted.most_common(LOOPS_MAX)]


def _from_home(delivery: Click | Submission) -> bool:
    if isinstance(delivery, Click):
        return delivery.view is not None and delivery.view.type == "home"
    if delivery.view.callback_id == BULK_VIEW:
        return True
    try:
        asked = Asked.decode(delivery.view.private_metadata)
    except NotOurs:
        return False
    # A window that was opened from a card knows its message.
    return asked.message_ts is None


def _name(text: str) -> str:
    return inline(text, NAME_MAX).text
