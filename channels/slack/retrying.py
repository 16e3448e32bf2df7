"""Retrying: the button under what was approved and could not be carried out."""

from slack_bolt import BoltResponse

from channels.slack import wording
from channels.slack.deliveries import Click
from channels.slack.evidence import click_evidence, click_key
from channels.slack.listening import ANSWER_S, Desk, done, failed, log, soon, started
from channels.slack.mrkdwn import inline
from channels.slack.notices import notice_text
from channels.slack.shown import NotOurs, Retry
from loops.cards import Notice
from loops.errors import Unavailable
from loops.outcomes import Executed, Recorded, Refused

MESSAGE_MAX = 500


class Retrying:
    """The listener of Retry: as with answers, the commit comes before the ack."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def retry(self, click: Click) -> BoltResponse:
        """Have the effect that the button names tried once more; the card shows it, a refusal is told privately."""
        deadline, evidence = started(), click_evidence(click, None)
        try:
            effect_id = Retry.decode(click.actions[0].value).effect_id
        except NotOurs:
            is_told = await self._desk.tell(evidence, wording.NOT_OUR_BUTTON, deadline)
            return done() if is_told else failed("unknown_button")

        async def commit() -> Executed | Recorded | Refused:
            who = await self._desk.who(click)
            return await self._desk.gate.retry(
                tenant=self._desk.tenant,
                effect_id=effect_id,
                by=who.human,
                channel=evidence | who.evidence,
                key=click_key(click),
            )

        try:
            outcome = await soon(commit(), ANSWER_S)
        except Unavailable as error:
            log.error("slack.retry.unrecorded", effect_id=effect_id, error=type(error).__name__)
            await self._desk.tell(evidence, wording.COULD_NOT_RECORD, deadline)
            return failed("store_unavailable")
        if isinstance(outcome, Refused):
            await self._desk.tell(evidence, await self._words(outcome, click), deadline)
        return done()

    async def _words(self, refused: Refused, click: Click) -> str:
        if refused.code == "unmapped_identity":
            address = click_evidence(click, None) | (await self._desk.who(click)).evidence
            notice = Notice(code=refused.code, message=refused.message, address=address)
            return notice_text(notice, None, team_id=self._desk.installation.team_id)
        return wording.not_retried(inline(refused.message, MESSAGE_MAX).text.rstrip("."))
