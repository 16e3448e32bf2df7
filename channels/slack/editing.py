"""
The edit modal: the values a policy lets approvers change, each in an input of its type. Pure.

Inputs stand in the order of their paths, so that a submission is read by the same policy it was drawn from: the digest
that travels with it covers the policy.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from channels.slack import blocks as b
from channels.slack import wording
from channels.slack.blocks import Block
from channels.slack.course import NO_NAMES, Names, counted, is_shared, named
from channels.slack.deliveries import Submission, Typed
from channels.slack.limits import INPUT_LABEL_MAX, PLAIN_TEXT_INPUT_MAX, SELECT_OPTIONS_MAX
from channels.slack.mrkdwn import exact, inline, one_line, size, value, worded
from channels.slack.reason import reason_input
from channels.slack.shortening import TITLE_MAX
from channels.slack.shown import EDIT_VIEW, Asked
from channels.slack.views import View, modal
from loops.approvals import AnswerOffered, ApprovalRequest
from loops.editing import TEXT_MAX, edit
from loops.values import dotted

#: Values in one modal; a view holds 100 blocks.
EDITS_MAX = 90
#: Bytes all inputs may take of a view's 250 kB; the rest is for what stands around them.
INPUTS_BYTES_MAX = 200_000
VALUE_ACTION = "value"
NEEDS_MAX, NOW_MAX = 400, 300
#: Digits of a number anybody means.
_NUMBER_MAX = 40
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_KEPT = object()

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edits:
    """What was changed, by path, and what is wrong with it, by input. Nothing of both: nothing is different."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def block_id(index: int) -> str:
    """Return the block id of the input of the value at *index*."""
    return f"loopgate.edit.{index}"


def edit_view(
    request: ApprovalRequest, data: Mapping[str, Any], offered: AnswerOffered, asked: Asked, names: Names = NO_NAMES
) -> View:
    """Return the modal that changes *data*, the instance's, and takes *offered* with the change; *names* by id."""
    policy, paths = request.proposal.policy, _paths(request)
    blocks = [b.section(wording.about_to_edit(inline(request.title, TITLE_MAX).text))]
    if is_shared(request):
        needs = inline(request.policy.named(names), NEEDS_MAX).text
        blocks.append(b.section(wording.edit_voids(named(counted(request)), needs)))
    inputs = [
        _input(index, path, policy.editable[path], dotted(data, path)) for index, path in enumerate(paths[:EDITS_MAX])
    ]
    blocks += (held := _held(inputs))
    if left := len(paths) - len(held):
        blocks.append(b.context(wording.edits_left_out(left)))
    rule = policy.reason.for_kind(offered.kind)
    if rule != "none":
        blocks.append(reason_input(is_required=rule == "required"))
    return modal(
        wording.EDIT_TITLE,
        blocks,
        callback_id=EDIT_VIEW,
        submit=wording.EDIT,
        close=wording.CANCEL,
        private_metadata=asked.encode(),
    )


def edits_of(submission: Submission, request: ApprovalRequest, data: Mapping[str, Any]) -> Edits:
    """Return what the submission of *request*'s edit modal changes in *data*, held to the policy's rules."""
    found, editable = Edits(), request.proposal.policy.editable
    for index, path in enumerate(_paths(request)[:EDITS_MAX]):
        typed = submission.view.state.values.get(block_id(index), {}).get(VALUE_ACTION)
        old = dotted(data, path)
        try:
            new = _KEPT if typed is None else _read(typed, editable[path], old)
        except ValueError as error:
            found.errors[block_id(index)] = str(error)
            continue
        if new is _KEPT:
            continue
        judged = edit(data, {path: new}, editable)
        if isinstance(judged, list):
            found.errors[block_id(index)] = "; ".join(problem.removeprefix(f"{path} ") for problem in judged)
        elif judged.changes:
            found.values[path] = new
    return found


def _paths(request: ApprovalRequest) -> list[str]:
    return sorted(request.proposal.policy.editable)


def _held(inputs: Sequence[Block]) -> list[Block]:
    """
    Return *inputs* as far as one view holds them.

    Texts that are too long together stand empty, where leaving them so changes nothing; what then is still too much,
    such as very many choices, is left out from the end.
    """
    emptied = [_emptied(block) for block in inputs]
    weights = [_weight(block) for block in emptied]
    while sum(weights) > INPUTS_BYTES_MAX:
        weights.pop()
    room, held = INPUTS_BYTES_MAX - sum(weights), []
    for block, empty, weight in zip(inputs, emptied, weights, strict=False):
        cost = _weight(block) - weight
        held.append(block if cost <= room else empty)
        room -= cost if cost <= room else 0
    return held


def _emptied(block: Block) -> Block:
    if block["element"]["type"] != "plain_text_input" or "initial_value" not in block["element"]:
        return block
    element = {name: value for name, value in block["element"].items() if name != "initial_value"}
    return block | {"element": element, "optional": True}


def _weight(block: Block) -> int:
    # As JSON that escapes everything beyond ASCII: whichever way Slack counts, it is no more.
    return len(json.dumps(block))


def _input(index: int, path: str, rule: Rule, old: Any) -> Block:
    element, fits = _element(rule, old)
    return b.asked_for(block_id(index), path, element, hint=_hint(rule, old), optional=not fits)


def _element(rule: Rule, old: Any) -> tuple[Block, bool]:
    """Return the element for a value, and whether it begins with the value as it is."""
    kind = rule.get("type", "string")
    if "enum" in rule or kind == "boolean":
        return _choice(_choices(rule), old)
    if kind in {"integer", "number"}:
        return _number(rule, kind, old)
    most = min(rule.get("maxLength", TEXT_MAX), PLAIN_TEXT_INPUT_MAX)
    element = b.text_input(VALUE_ACTION, maximum=most, multiline=most > 100 or (isinstance(old, str) and "\n" in old))
    if "minLength" in rule:
        element["min_length"] = min(rule["minLength"], most)
    # A text Slack would alter or refuse does not go into its box: it would come back changed.
    fits = isinstance(old, str) and 0 < size(old) <= most and _as_typed(old) == old.strip()
    return element | ({"initial_value": old} if fits else {}), fits


def _choice(choices: list[tuple[str, Any]], old: Any) -> tuple[Block, bool]:
    options = [b.option(text, str(number)) for number, (text, _) in enumerate(choices[:SELECT_OPTIONS_MAX])]
    element: Block = {"type": "static_select", "action_id": VALUE_ACTION, "options": options}
    at = next((number for number, (_, value) in enumerate(choices) if exact(value) == exact(old)), None)
    if at is None or at >= len(options):
        return element, False
    return element | {"initial_option": options[at]}, True


def _number(rule: Rule, kind: str, old: Any) -> tuple[Block, bool]:
    element: Block = {"type": "number_input", "action_id": VALUE_ACTION, "is_decimal_allowed": kind == "number"}
    element |= {
        name: _digits(rule[bound])
        for name, bound in (("min_value", "minimum"), ("max_value", "maximum"))
        if bound in rule
    }
    is_number = isinstance(old, (int, float)) and not isinstance(old, bool)
    fits = is_number and (kind == "number" or isinstance(old, int))
    return element | ({"initial_value": _digits(old)} if fits else {}), fits


def _choices(rule: Rule) -> list[tuple[str, Any]]:
    if "enum" in rule:
        return [(value if isinstance(value, str) else exact(value), value) for value in rule["enum"]]
    return [(wording.YES, True), (wording.NO, False)]


def _hint(rule: Rule, old: Any) -> str:
    if isinstance(old, str) and size(old) > rule.get("maxLength", TEXT_MAX):
        return wording.value_long(len(old))
    least, most = (rule.get(name) for name in ("minimum", "maximum"))
    limits = wording.bounds(*(None if bound is None else _digits(bound) for bound in (least, most)))
    now = {True: wording.YES, False: wording.NO}[old] if isinstance(old, bool) else old
    if now is None or isinstance(old, bool):
        shown = now or wording.NO_VALUE
    else:
        shown = worded(_short(now)) if isinstance(now, str) else value(_short(exact(now)))
    return b.plain(wording.value_now(shown, limits), INPUT_LABEL_MAX)["text"]  # type: ignore[no-any-return]


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= NOW_MAX else f"{line[:NOW_MAX]}…"


def _read(typed: Typed, rule: Rule, old: Any) -> Any:
    """Return the value that was typed, or `_KEPT`. Raises ValueError with what to say at the input."""
    kind = rule.get("type", "string")
    if "enum" in rule or kind == "boolean":
        return _chosen(typed, _choices(rule))
    if not typed.value:
        return _KEPT
    if kind == "integer":
        text = typed.value.strip()
        if len(text) > _NUMBER_MAX or not _WHOLE.fullmatch(text):
            raise ValueError(wording.WHOLE_NUMBER)
        return int(text.partition(".")[0])
    if kind == "number":
        return _a_number(typed.value.strip())
    is_same = isinstance(old, str) and _as_typed(typed.value) == _as_typed(old)
    return _KEPT if is_same else typed.value


def _chosen(typed: Typed, choices: list[tuple[str, Any]]) -> Any:
    if typed.selected_option is None:
        return _KEPT
    numbers = {str(number): value for number, (_, value) in enumerate(choices)}
    if typed.selected_option.value not in numbers:
        raise ValueError(wording.ONE_OF_THESE)
    return numbers[typed.selected_option.value]


def _a_number(text: str) -> int | float:
    try:
        number = Decimal(text) if len(text) <= _NUMBER_MAX else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > Decimal("1e300"):
        raise ValueError(wording.A_NUMBER)
    return int(number) if number == number.to_integral_value() and abs(number) < 1e15 else float(number)


def _as_typed(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _digits(number: float) -> str:
    if isinstance(number, int):
        return str(number)
    whole = Decimal(repr(number))
    return format(whole.normalize() if whole else Decimal(0), "f")
