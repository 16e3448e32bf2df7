"""What a card says of the effects a decision has: what would run, what runs, what came of it. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.course import NAME_MAX
from channels.slack.faces import OPEN, Face, integration_result
from channels.slack.mrkdwn import code, exact, inline, quote, size
from channels.slack.quoting import shortened
from loops.approvals import ApprovalRequest, PlannedEffect
from loops.canonical import canonical_json
from loops.ports import Loaded

# The budget of each part, in units of `mrkdwn.size`.
RUNS_MAX, RUN_NAME_MAX, RUN_PARAMETERS_MAX = 5, 60, 240
RESULT_MAX = 600
#: Failures told one by one.
FAILURES_MAX, FAILURE_MAX = 3, 300

_HEADS: Mapping[Face, str] = {
    **dict.fromkeys((*OPEN, "suspended"), wording.RUNS_IF_APPROVED),
    "executing": wording.RUNS_NOW,
    "approved": wording.APPROVED_TO_RUN,
    "handed_over": wording.APPROVED_TO_RUN,
    "executed": wording.RAN,
    "execution_failed": wording.APPROVED_TO_RUN,
}


def planned(request: ApprovalRequest, face: Face) -> Iterator[Block]:
    """Yield what runs, ran or would have, by the *face* of *request*; while it is open, what a rejection runs, too."""
    if request.proposal.runs:
        yield _listed(_HEADS.get(face, wording.WOULD_HAVE_RUN), request.proposal.runs)
    elif face in OPEN:
        yield b.context(wording.RUNS_NOTHING)
    if request.proposal.if_rejected and face in OPEN:
        yield _listed(wording.RUNS_IF_REJECTED, request.proposal.if_rejected)


def outcome(subject: Loaded, request: ApprovalRequest) -> Iterator[Block]:
    """Yield what came of the effects of a closed *request*: every failure, or what an integration reported."""
    for failure in request.failures[:FAILURES_MAX]:
        run = wording.run_name(_run_name(failure.integration), _run_name(failure.action))
        said = quote(failure.error, FAILURE_MAX, lines=6).text if failure.error else None
        yield b.section(wording.run_failed(run, said))
    if (left := len(request.failures) - FAILURES_MAX) > 0:
        yield b.context(wording.more_items(left, "failure"))
    result = integration_result(subject, request)
    if result is None or request.failures:
        return
    kind = str(result.get("integrationConnectionId") or result.get("integrationKind") or "integration")
    inner = result.get("result")
    # What an integration of ours reported stands under `result`; others may say it beside their status.
    places = [result, inner] if isinstance(inner, Mapping) else [result]
    said_at = [place[key] for place in places for key in ("error", "message", "summary") if key in place]
    detail = next((text for text in said_at if isinstance(text, str)), None)
    said = shortened(detail, RESULT_MAX, lines=8) if detail else None
    status = inline(str(result.get("applyStatus")), NAME_MAX).text
    yield b.section(wording.result(inline(kind, NAME_MAX).text, status, said))


def _listed(head: str, effects: Sequence[PlannedEffect]) -> Block:
    lines = [head, *map(_run, effects[:RUNS_MAX])]
    if len(effects) > RUNS_MAX:
        lines.append(wording.more_items(len(effects) - RUNS_MAX, "action"))
    return b.section("\n".join(lines))


def _run(effect: PlannedEffect) -> str:
    name = wording.run(_run_name(effect.integration), _run_name(effect.action))
    size_bytes = len(canonical_json(effect.parameters))
    shown = code(exact(effect.parameters)) if size_bytes <= RUN_PARAMETERS_MAX else ""
    if shown and size(shown) <= RUN_PARAMETERS_MAX:
        return f"{name} {shown}"
    return f"{name} ({wording.byte_count(size_bytes)} of parameters under {wording.DETAILS})"


def _run_name(name: str) -> str:
    return inline(name, RUN_NAME_MAX).text
