"""Viewing: the Details modal and its pages. Nothing here decides anything."""

import asyncio

from slack_bolt import BoltResponse
from slack_sdk.errors import SlackApiError

from channels.slack import wording
from channels.slack.deliveries import Click
from channels.slack.details import details_view
from channels.slack.errors import error_code
from channels.slack.evidence import click_evidence
from channels.slack.listening import SLACK_ERRORS, Desk, done, failed, log, started
from channels.slack.shown import NotOurs, Shown
from channels.slack.views import View, told
from loops.errors import Unavailable


class Viewing:
    """Listeners for Details and its pages."""

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
        deadline = started()
        if click.view is None:
            return done()
        try:
            view = await self._page(click)
            async with asyncio.timeout_at(deadline):
                await self._desk.client.views_update(view_id=click.view.id, hash=click.view.hash, view=view)
        except NotOurs:
            return done()
        except Unavailable:
            return failed("store_unavailable")
        except SLACK_ERRORS as error:
            # A double click turns the page once: the second update carries the hash of a page that is gone.
            if isinstance(error, SlackApiError) and error_code(error) == "hash_conflict":
                return done()
            log.warning("slack.view.not_updated", error=type(error).__name__)
            return failed("view_not_updated")
        return done()

    async def _page(self, click: Click) -> View:
        shown = Shown.decode(click.actions[0].value)
        if await self._desk.human(click) is None:
            return told(wording.DETAILS_TITLE, wording.DETAILS_UNMAPPED)
        subject = await self._desk.load(shown.request_id)
        if subject is None or subject.request is None:
            return told(wording.DETAILS_TITLE, wording.UNKNOWN_REQUEST)
        # A megabyte of parameters takes a while to lay out; clicks must not wait for it.
        return await asyncio.to_thread(details_view, subject, shown)
