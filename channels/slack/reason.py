"""The reason modal: asks why before an answer counts. Closing it decides nothing."""

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.card import TITLE_MAX
from channels.slack.course import NAME_MAX
from channels.slack.deliveries import Submission
from channels.slack.limits import INPUT_LABEL_MAX, PLAIN_TEXT_INPUT_MAX
from channels.slack.mrkdwn import inline
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
    reason = {
        "type": "input",
        "block_id": REASON_BLOCK,
        "optional": not is_required,
        "label": b.plain(wording.REASON_LABEL, INPUT_LABEL_MAX),
        "hint": b.plain(wording.REASON_HINT, INPUT_LABEL_MAX),
        "element": {
            "type": "plain_text_input",
            "action_id": REASON_ACTION,
            "multiline": True,
            "max_length": PLAIN_TEXT_INPUT_MAX,
        },
    }
    return modal(
        answer,
        [b.section(about), reason],
        callback_id=REASON_VIEW,
        submit=answer,
        close=wording.CANCEL,
        private_metadata=asked.encode(),
    )


def reason_of(submission: Submission) -> str | None:
    """Return what was typed, without white space around it, or None."""
    typed = submission.view.state.values.get(REASON_BLOCK, {}).get(REASON_ACTION)
    return (typed.value or "").strip() or None if typed else None
