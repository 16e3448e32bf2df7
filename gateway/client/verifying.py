"""Verifying: that what people approved is what was asked, changed at most as was offered. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.api.models import ApprovalView
from gateway.client.errors import Differs, NotApproved, Redacted
from loops.canonical import canonical_json, digest
from loops.editing import Change, Edited, edit
from loops.redaction import TAKEN_OUT
from loops.values import dotted


def check_asked(asked: Mapping[str, Any], approval: ApprovalView) -> None:
    """
    Check that people are shown what was *asked*, before anybody waits for them.

    Raises:
        Redacted: If the gateway took something out.
        Differs: If they are shown something else.
    """
    if approval.edited or approval.parameters_digest == digest(asked) == digest(approval.parameters):
        return
    paths = list(_differences(asked, approval.parameters))
    taken = [path for path in paths if _is_taken_out(dotted(approval.parameters, path))]
    if taken and taken == paths:
        raise Redacted(taken, approval)
    raise Differs(paths, "people are shown something else than was asked", approval)


def check_approved(
    asked: Mapping[str, Any], approval: ApprovalView, editable: Mapping[str, Mapping[str, Any]]
) -> Sequence[Change]:
    """
    Return what approvers changed, once it is sure that the approved parameters are those *asked* with these changes.

    The edits are made again, here, by the rules that were sent, and the digest of the result must be the one that was
    approved.

    Raises:
        NotApproved: If the request is not approved.
        Redacted: If the gateway took something out.
        Differs: If anything else is different.
    """
    if approval.status != "approved":
        raise NotApproved(approval)
    if digest(approval.parameters) != approval.parameters_digest:
        raise Differs((), "its digest is not that of its parameters", approval)
    if not approval.edited:
        check_asked(asked, approval)
        return ()
    edits = {
        path: dotted(approval.parameters, path)
        for path in editable
        if not _same(dotted(asked, path), dotted(approval.parameters, path))
    }
    if taken := [path for path, value in edits.items() if _is_taken_out(value)]:
        raise Redacted(taken, approval)
    made = edit(asked, edits, editable)
    if not isinstance(made, Edited):
        raise Differs((), "an edit is not within what was offered", approval) from ValueError("; ".join(made))
    if digest(made.data) != approval.parameters_digest:
        paths = list(_differences(made.data, approval.parameters))
        raise Differs(paths, "it was changed beyond what may be edited", approval)
    return made.changes


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted paths at which two JSON values differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted(one.keys() | other.keys()):
            here = f"{path}.{key}" if path else key
            if key in one and key in other:
                yield from _differences(one[key], other[key], here)
            else:
                yield here
    elif not _same(one, other):
        yield path


def _same(one: Any, other: Any) -> bool:
    return canonical_json(one) == canonical_json(other)


def _is_taken_out(value: Any) -> bool:
    match value:
        case str():
            return TAKEN_OUT.search(value) is not None
        case Mapping():
            return any(map(_is_taken_out, value.values()))
        case list() | tuple():
            return any(map(_is_taken_out, value))
        case _:
            return False
