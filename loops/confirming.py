"""
Confirming: an answer whose giver is not known well enough yet. It is kept, and counted or refused once they are.

Nothing is decided by keeping it. When it is known who gave it, it is judged like any other, as things stand then.
"""

from loops.answers import Confirmation, Word, draft_of, notify, refuse
from loops.approvals import HumanAnswer
from loops.asked import Asked
from loops.decide import recorded
from loops.draft import Decided
from loops.objections import Objection, objections_to_anybody, too_late
from loops.ports import IdSource

_HELD = Word("checking", "your answer is kept and counts once it is known that you may decide")
_UNKNOWN = Objection(
    "identity", "unconfirmed", "it could not be found out in time who gave this answer; nothing was decided"
)


def hold(asked: Asked, answer: HumanAnswer, ids: IdSource) -> Decided:
    """
    Keep *answer* until a worker has found out who gave it; refuse at once what would count from nobody.

    `answer.by` is who it seems to be. The effect that was asked for ends with `decide_answer`, or with `never_known`.
    """
    draft = draft_of(asked, ids)
    if objection := next(objections_to_anybody(asked, answer), None):
        return refuse(draft, asked, answer, objection)
    request, confirming = asked.request, draft.ids.new("ef_")
    draft.event(
        "approval.decision.unconfirmed",
        {
            "requestId": request.request_id,
            "requestVersion": answer.request_version,
            "digest": answer.digest,
            "transitionId": answer.transition_id,
            "claimedBy": answer.by,
            "reason": answer.reason,
            "edits": answer.edits or None,
            "channel": answer.channel or None,
            "effectId": confirming,
        },
    )
    payload = {"requestId": request.request_id, "answer": answer.changed(is_told_there=False).as_json()}
    if not answer.is_told_there:
        payload["told"] = notify(draft, request, answer.channel, _HELD)
    draft.effect("answer.confirm", payload, effect_id=confirming)
    return recorded(draft, asked.loaded, "unconfirmed")


def never_known(asked: Asked, answer: HumanAnswer, confirmation: Confirmation, ids: IdSource) -> Decided:
    """Refuse an answer that was kept, since it could not be found out who gave it; they are told what stands now."""
    draft = draft_of(asked, ids, confirmation)
    return refuse(draft, asked, answer.changed(by=None), too_late(asked) or _UNKNOWN, after=confirmation.told)
