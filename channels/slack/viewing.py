"""Viewing: the Details modal, its pages, and all of it as a file. Nothing here decides anything."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from slack_bolt import BoltResponse
from slack_sdk.errors import SlackApiError

from channels.slack import wording
from channels.slack.deliveries import Click
from channels.slack.details import details_view
from channels.slack.errors import error_code
from channels.slack.evidence import click_evidence
from channels.slack.listening import ANSWER_S, SLACK_ERRORS, Desk, done, failed, log, soon, started
from channels.slack.mrkdwn import inline
from channels.slack.notices import MESSAGE_MAX
from channels.slack.shown import NotOurs, Shown
from channels.slack.views import View, told
from loops.actors import Human
from loops.errors import StoreUnavailable, Unavailable
from loops.outcomes import Refused
from loops.ports import Loaded


class Viewing:
    """Listeners for Details, its pages and its file."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def details(self, click: Click) -> BoltResponse:
        """Open the first page of Details."""
        deadline = started()
        evidence = click_evidence(click, None)
        try:
            view = await self._page(click)
        except NotOurs:
            await self._desk.tell(evidence, wording.NOT_OUR_BUTTON, deadline)
            return done()
        except Unavailable:
            await self._desk.tell(evidence, wording.COULD_NOT_LOAD, deadline)
            return failed("store_unavailable")
        if await self._desk.open(click.trigger_id, view, deadline):
            return done()
        is_told = await self._desk.tell(evidence, wording.COULD_NOT_OPEN, deadline)
        return done() if is_told else failed("view_not_opened")

    async def turn(self, click: Click) -> BoltResponse:
        """Show another page in the modal that is open."""
        return await self._put(click, self._page)

    async def file(self, click: Click) -> BoltResponse:
        """Have all of it sent to who asks, and say so on the page they look at."""
        return await self._put(click, self._asked_for)

    async def _put(self, click: Click, made: Callable[[Click], Awaitable[View]]) -> BoltResponse:
        """Show what is *made* of the click in the modal it was made in."""
        deadline = started()
        if click.view is None:
            return done()
        try:
            view = await made(click)
            async with asyncio.timeout_at(deadline):
                await self._desk.client.views_update(view_id=click.view.id, hash=click.view.hash, view=view)
        except NotOurs:
            return done()
        except StoreUnavailable:
            return failed("store_unavailable")
        except SLACK_ERRORS as error:
            # A double click turns the page once: the second update carries the hash of a page that is gone.
            if isinstance(error, SlackApiError) and error_code(error) == "hash_conflict":
                return done()
            log.warning("slack.view.not_updated", error=type(error).__name__)
            return failed("view_not_updated")
        return done()

    async def _page(self, click: Click) -> View:
        found = await self._looked_at(click)
        # A megabyte of parameters takes a while to lay out; clicks must not wait for it.
        return (
            await asyncio.to_thread(details_view, found.subject, found.shown) if isinstance(found, _Looked) else found
        )

    async def _asked_for(self, click: Click) -> View:
        found = await self._looked_at(click)
        if not isinstance(found, _Looked):
            return found
        evidence = click_evidence(click, None)
        outcome = await soon(self._desk.gate.disclose(found.subject, found.by, evidence), ANSWER_S)
        if isinstance(outcome, Refused):
            note = wording.file_refused(inline(outcome.message, MESSAGE_MAX).text.rstrip("."))
        else:
            note = wording.FILE_ASKED_BEFORE if outcome.repeated else wording.FILE_ON_ITS_WAY
        return await asyncio.to_thread(details_view, found.subject, found.shown, note=note)

    async def _looked_at(self, click: Click) -> "_Looked | View":
        """Return what the click is about and who looks, or the modal that says why they may not."""
        shown = Shown.decode(click.actions[0].value)
        by = await self._desk.human(click)
        if by is None:
            return told(wording.DETAILS_TITLE, wording.DETAILS_UNMAPPED)
        subject = await self._desk.load(shown.request_id)
        if subject is None or subject.request is None:
            return told(wording.DETAILS_TITLE, wording.UNKNOWN_REQUEST)
        return _Looked(subject, shown, by)


@dataclass(frozen=True, slots=True)
class _Looked:
    subject: Loaded
    shown: Shown
    by: Human
