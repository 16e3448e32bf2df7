"""
Disclosing: a complete copy of what a request proposes, sent to one person.

Looking at Details leaves no trace; a copy that leaves the gateway for good does: who asked for it, and of what. Whoever
may look at a request may have it, open or closed: nothing is decided by it.
"""

from collections.abc import Mapping

from loops.actors import Human
from loops.asked import Asked
from loops.decide import recorded
from loops.draft import Decided, Draft
from loops.outcomes import Refused
from loops.ports import IdSource


def disclose(asked: Asked, by: Human | None, channel: Mapping[str, object], ids: IdSource) -> Decided:
    """
    Have the proposal of the request, as it stands, sent to *by*: as a file, by an effect.

    *channel* is the evidence of their click: where they are told if nothing comes of it.
    """
    loaded, request = asked.loaded, asked.request
    if by is None:
        message = "nobody known here has asked for this"
        return Decided(Refused(code="unmapped_identity", message=message, request=request), None)
    draft = Draft(loaded.definition, loaded.instance, asked.now, ids)
    draft.event(
        "approval.details.requested",
        {
            "requestId": request.request_id,
            "requestVersion": request.version,
            "digest": request.digest,
            "actor": by,
            "channel": dict(channel) or None,
        },
    )
    draft.effect(
        "details.file",
        {
            "requestId": request.request_id,
            "personId": by.user_id,
            "digest": request.digest,
            "address": dict(channel),
        },
    )
    return recorded(draft, loaded, "details_requested")
