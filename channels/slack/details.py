"""
The Details modal: everything an approver agrees to, complete, in pages.

Pure. The text is the proposal the digest is made over, as JSON that hides nothing (see `mrkdwn.exact`), followed by
what the card shows beside it. Pages follow from the request alone: the same page number always shows the same text.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.faces import integration_result
from channels.slack.limits import SECTION_TEXT_MAX
from channels.slack.mrkdwn import chunks, code, escape, exact, inline
from channels.slack.shortening import TITLE_MAX, parameters_size, summary
from channels.slack.shown import DETAILS_VIEW, FILE, PAGE, Shown
from channels.slack.views import View, modal
from loops.approvals import ApprovalRequest, Proposal
from loops.errors import Rejected
from loops.ports import Loaded

#: Bytes of text on one page, as JSON that escapes everything beyond ASCII: the view stays far below 250 kB however its
#: bytes are counted, and opens quickly.
PAGE_BYTES_MAX = 48_000
#: Blocks of text on one page; a view holds 100.
PAGE_BLOCKS_MAX = 60

#: From this many pages on, all of it may be had as a file.
FILE_FROM_PAGES = 3

#: Fields of a request, as JSON, that the document has under other names, and those that say nothing to a person.
_NAMED_BELOW = frozenset({"proposal", "verdicts", "decisions", "voided", "reassignments", "closedBy"})
_NO_TEXT = frozenset({"tenant", "instanceId", "progress"})

#: Requests of which the pages are kept: laying out a megabyte anew for each page turned takes a tenth of a second. Of
#: the largest, each keeps some ten megabytes.
LAID_OUT_KEPT = 4

#: Text in pages, each of chunks that fill a block.
Pages = tuple[tuple[str, ...], ...]

_FENCE = "```"
_CHUNK_MAX = SECTION_TEXT_MAX - 2 * len(f"{_FENCE}\n")


def document(subject: Loaded) -> str:
    """
    Return all of the text: the proposal, then all else a card may show a part of, both as indented JSON.

    Whatever a request has beside its proposal stands here, under its own name where it has no better one below.

    Raises:
        Rejected: If *subject* has no request.
    """
    return "".join(chunk for page in pages(subject) for chunk in page)


def pages(subject: Loaded) -> Pages:
    """
    Return the text in pages of code blocks; joined, they are `document`.

    Raises:
        Rejected: If *subject* has no request.
    """
    request = _request_of(subject)
    # The digest as the proposal has it, not as the request says: what is shown is what was hashed.
    return _laid_out(_Proposed(request.proposal.digest, request.proposal), exact(_beside(subject, request), indent=2))


@dataclass(frozen=True, slots=True)
class _Proposed:
    """A proposal, known by its digest."""

    digest: str
    proposal: Proposal = field(compare=False)


@lru_cache(maxsize=LAID_OUT_KEPT)
def _laid_out(proposed: _Proposed, beside: str) -> Pages:
    text = f"{exact(proposed.proposal.as_digested(), indent=2)}\n\n{beside}"
    found: list[list[str]] = [[]]
    room = PAGE_BYTES_MAX
    for chunk in chunks(text, _CHUNK_MAX):
        cost = len(json.dumps(escape(chunk)))
        if found[-1] and (cost > room or len(found[-1]) == PAGE_BLOCKS_MAX):
            found.append([])
            room = PAGE_BYTES_MAX
        found[-1].append(chunk)
        room -= cost
    return tuple(map(tuple, found))


def _beside(subject: Loaded, request: ApprovalRequest) -> dict[str, Any]:
    beside = {name: value for name, value in request.as_json().items() if name not in _NAMED_BELOW | _NO_TEXT}
    beside |= {
        "checks": [verdict.as_json() for verdict in request.verdicts],
        "decisions": [
            {"by": decision.by.name, "answer": decision.transition_id, "reason": decision.reason}
            for decision in request.decisions
        ],
        "handedOver": [each.as_json() for each in request.reassignments],
        "votesOnEarlierVersions": [
            {"by": decision.by.name, "version": decision.request_version} for decision in request.voided
        ],
        "result": integration_result(subject, request),
    }
    return {"alsoOnTheCard": beside}


def details_view(subject: Loaded, shown: Shown, *, note: str | None = None) -> View:
    """
    Return the page *shown* names (1 without one, the last where there are fewer), as a modal.

    *note* (`mrkdwn`) stands at its head, in place of the button that asks for a file.

    Raises:
        Rejected: If *subject* has no request.
    """
    request = _request_of(subject)
    found = pages(subject)
    number = min(shown.page or 1, len(found))
    return modal(
        wording.DETAILS_TITLE,
        list(_blocks(subject, request, shown, found, number, note)),
        callback_id=DETAILS_VIEW,
        private_metadata=Shown.of(request, page=number).encode(),
    )


def _request_of(subject: Loaded) -> ApprovalRequest:
    if subject.request is None:
        raise Rejected(f"instance {subject.instance.instance_id} has no approval request to show")
    return subject.request


def _blocks(
    subject: Loaded, request: ApprovalRequest, shown: Shown, found: Pages, number: int, note: str | None
) -> Iterator[Block]:
    if shown.digest != request.digest:
        yield b.section(wording.DETAILS_OUTDATED)
    title = inline(request.title, TITLE_MAX).text
    yield b.section(wording.details_head(title, code(request.digest), parameters_size(request)))
    yield b.context(summary(subject, request))
    if note is not None:
        yield b.section(note)
    yield from _navigation(request, number, len(found), "top", offers_file=note is None)
    for chunk in found[number - 1]:
        yield b.section(f"{_FENCE}\n{escape(chunk)}\n{_FENCE}")
    yield from _navigation(request, number, len(found), "bottom")


def _navigation(
    request: ApprovalRequest, number: int, count: int, place: str, *, offers_file: bool = False
) -> Iterator[Block]:
    if count == 1:
        return
    buttons: list[dict[str, Any]] = []
    if number > 1:
        previous = Shown.of(request, page=number - 1)
        buttons.append(b.button(wording.PREVIOUS, f"{PAGE}previous", previous.encode()))
    if number < count:
        buttons.append(b.button(wording.NEXT, f"{PAGE}next", Shown.of(request, page=number + 1).encode()))
    if offers_file and count >= FILE_FROM_PAGES:
        buttons.append(b.button(wording.SEND_FILE, FILE, Shown.of(request, page=number).encode()))
    yield b.context(wording.page_of(number, count))
    yield b.actions(f"{PAGE}{place}", buttons)
