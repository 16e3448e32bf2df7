"""The modals for what people do short of deciding: ask, answer a question, hand their part over, withdraw. Pure."""

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.course import NAME_MAX, NO_NAMES, Names
from channels.slack.deliveries import Submission
from channels.slack.mrkdwn import inline, quote
from channels.slack.reason import REASON_ACTION, REASON_BLOCK, reason_input, typed_in
from channels.slack.shortening import TITLE_MAX
from channels.slack.shown import HAND_OVER_VIEW, QUESTION_VIEW, REPLY_VIEW, WITHDRAW_VIEW, Asked
from channels.slack.views import View, modal
from loops.approvals import ApprovalRequest, Question

#: Block and action id of what is typed or chosen; the block id is where Slack shows an error.
TEXT_BLOCK, TEXT_ACTION = "loopgate.text", "text"
PERSON_BLOCK, PERSON_ACTION = "loopgate.person", "person"
QUESTION_MAX, NEEDS_MAX = 1_500, 400


def question_view(request: ApprovalRequest, asked: Asked) -> View:
    """Return the modal that asks something about *request*."""
    box = b.asked_for(
        TEXT_BLOCK, wording.QUESTION_LABEL, b.text_input(TEXT_ACTION), hint=wording.QUESTION_HINT, optional=False
    )
    return modal(
        wording.QUESTION_TITLE,
        [b.section(wording.about_to_ask(_title(request))), box],
        callback_id=QUESTION_VIEW,
        submit=wording.QUESTION_SUBMIT,
        close=wording.CANCEL,
        private_metadata=asked.encode(),
    )


def reply_view(request: ApprovalRequest, question: Question, asked: Asked) -> View:
    """Return the modal that answers *question*."""
    by, text = inline(question.by.name, NAME_MAX).text, quote(question.text, QUESTION_MAX).text
    box = b.asked_for(TEXT_BLOCK, wording.REPLY_LABEL, b.text_input(TEXT_ACTION), hint=wording.REPLY_HINT)
    return modal(
        wording.REPLY_TITLE,
        [b.section(wording.about_to_reply(by, text, _title(request))), box],
        callback_id=REPLY_VIEW,
        submit=wording.REPLY_SUBMIT,
        close=wording.CANCEL,
        private_metadata=asked.encode(),
    )


def hand_over_view(request: ApprovalRequest, asked: Asked, names: Names = NO_NAMES) -> View:
    """Return the modal that chooses who decides instead; *names* are what people are called, by id."""
    needs = inline(request.policy.named(names), NEEDS_MAX).text
    person = {"type": "users_select", "action_id": PERSON_ACTION}
    return modal(
        wording.HAND_OVER_TITLE,
        [
            b.section(wording.about_to_hand_over(_title(request), needs)),
            b.asked_for(PERSON_BLOCK, wording.HAND_OVER_LABEL, person),
            b.asked_for(REASON_BLOCK, wording.HAND_OVER_REASON, b.text_input(REASON_ACTION), optional=True),
        ],
        callback_id=HAND_OVER_VIEW,
        submit=wording.HAND_OVER_SUBMIT,
        close=wording.CANCEL,
        private_metadata=asked.encode(),
    )


def withdraw_view(request: ApprovalRequest, asked: Asked) -> View:
    """Return the modal that takes *request* back."""
    return modal(
        wording.WITHDRAW_TITLE,
        [b.section(wording.about_to_withdraw(_title(request))), reason_input(is_required=False)],
        callback_id=WITHDRAW_VIEW,
        submit=wording.WITHDRAW_SUBMIT,
        close=wording.CANCEL,
        private_metadata=asked.encode(),
    )


def text_of(submission: Submission) -> str | None:
    """Return the question or answer that was typed, or None."""
    return typed_in(submission, TEXT_BLOCK, TEXT_ACTION)


def person_of(submission: Submission) -> str | None:
    """Return the Slack user that was chosen, or None."""
    chosen = submission.view.state.values.get(PERSON_BLOCK, {}).get(PERSON_ACTION)
    return chosen.selected_user if chosen else None


def _title(request: ApprovalRequest) -> str:
    return inline(request.title, TITLE_MAX).text
