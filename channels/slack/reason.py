"""The reason modal: asks why before an answer counts. Closing it decides nothing."""

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.course import NAME_MAX
from channels.slack.deliveries import Submission
from channels.slack.mrkdwn import inline
from channels.slack.shortening import TITLE_MAX
from channels.slack.shown import REASON_VIEW, Asked
from channels.slack.views import View, modal
from loops.approvals import AnswerOffered, ApprovalRequest

#: Block and action id of the input, the block id being where Slack shows an error.
REASON_BLOCK = "loopgate.reason"
REASON_ACTION = "reason"


def reason_view(request: ApprovalRequest, offered: AnswerOffered, asked: Asked) -> View:
    """Return the modal that takes *offered* with a reason, required or not as the policy says."""
    answer = offered.label or offered.transition_id
    is_required = request.proposal.policy.reason.for_kind(offered.kind) == "required"
    about = wording.about_to(inline(answer, NAME_MAX).text, inline(request.title, TITLE_MAX).text)
    return modal(
        answer,
        [b.section(about), reason_input(is_required=is_required)],
        callback_id=REASON_VIEW,
        submit=answer,
        close=wording.CANCEL,
        private_metadata=asked.encode(),
    )


def reason_input(*, is_required: bool) -> Block:
    """Return the input for a reason."""
    return b.asked_for(
        REASON_BLOCK,
        wording.REASON_LABEL,
        b.text_input(REASON_ACTION),
        hint=wording.REASON_HINT,
        optional=not is_required,
    )


def reason_of(submission: Submission) -> str | None:
    """Return what was typed, without white space around it, or None."""
    return typed_in(submission, REASON_BLOCK, REASON_ACTION)


def typed_in(submission: Submission, block_id: str, action_id: str) -> str | None:
    """Return the text typed into one input, without white space around it, or None."""
    typed = submission.view.state.values.get(block_id, {}).get(action_id)
    return (typed.value or "").strip() or None if typed else None
