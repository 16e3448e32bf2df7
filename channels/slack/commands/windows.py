"""The windows of the command: what a loop is started with, and whether to cancel one. Closing them does nothing."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from channels.slack import blocks as b
from channels.slack import wording as card_words
from channels.slack.blocks import Block
from channels.slack.commands import wording
from channels.slack.deliveries import Submission
from channels.slack.limits import PLAIN_TEXT_INPUT_MAX, PRIVATE_METADATA_MAX
from channels.slack.mrkdwn import inline, size
from channels.slack.reason import typed_in
from channels.slack.shown import TOLD_VIEW, NotOurs
from channels.slack.views import View, modal
from loops.definition import LoopDefinition
from loops.instance import LoopInstance

START_VIEW, CANCEL_VIEW = "loopgate.start", "loopgate.cancel"
ID_BLOCK, REASON_BLOCK, ACTION = "loopgate.start.id", "loopgate.cancel.reason", "value"
#: Values one window asks for; a loop that shows more is started with the rest in the command.
ASKED_MAX = 30
GIVEN_MAX = 1_500


class Starting(BaseModel):
    """What a start window was opened with: the loop, the business object if given, values, and the paths asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: str
    digest: str
    aggregate: str | None = None
    given: dict[str, Any] = Field(default_factory=dict)
    asked: tuple[str, ...] = ()


class Cancelling(BaseModel):
    """What a cancel window is about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instance: str


def start_view(definition: LoopDefinition, asking: Starting) -> View | None:
    """Return the window that asks for what is missing; None where what was given is too long to travel with it."""
    metadata = asking.model_dump_json()
    if size(metadata) > PRIVATE_METADATA_MAX:
        return None
    about = wording.start_about(inline(definition.id, 80).text, inline(definition.description or "", 500).text)
    blocks = [b.section(about)]
    if asking.given:
        given = ", ".join(f"{key} = {value}" for key, value in asking.given.items())
        blocks.append(b.context(wording.start_given(inline(given, GIVEN_MAX).text)))
    if asking.aggregate is None:
        blocks.append(_input(ID_BLOCK, wording.ID_LABEL, wording.ID_HINT, maximum=200))
    blocks += [_input(_block(index), path, wording.VALUE_HINT) for index, path in enumerate(asking.asked)]
    return modal(
        wording.START_TITLE,
        blocks,
        callback_id=START_VIEW,
        submit=wording.START,
        close=card_words.CANCEL,
        private_metadata=metadata,
    )


def typed_values(submission: Submission, asking: Starting) -> dict[str, str]:
    """Return what was typed, by path."""
    values = submission.view.state.values
    held = {path: values.get(_block(index), {}).get(ACTION) for index, path in enumerate(asking.asked)}
    return {path: (typed.value if typed else None) or "" for path, typed in held.items()}


def typed_id(submission: Submission) -> str:
    """Return the id that was typed."""
    return typed_in(submission, ID_BLOCK, ACTION) or ""


def cancel_view(instance: LoopInstance) -> View:
    """Return the window that asks once more."""
    about = wording.cancel_about(
        inline(instance.aggregate_id, 80).text, inline(instance.loop_id, 80).text, inline(instance.state, 80).text
    )
    reason = _input(REASON_BLOCK, wording.REASON_LABEL, wording.REASON_HINT, is_optional=True, multiline=True)
    return modal(
        wording.CANCEL_TITLE,
        [b.section(about), reason],
        callback_id=CANCEL_VIEW,
        submit=wording.CANCEL,
        close=wording.KEEP,
        private_metadata=Cancelling(instance=instance.instance_id).model_dump_json(),
    )


def typed_reason(submission: Submission) -> str | None:
    """Return the reason that was typed, or None."""
    return typed_in(submission, REASON_BLOCK, ACTION)


def said(title: str, lines: Sequence[str]) -> View:
    """Return a window that only says *lines*."""
    return modal(title, [b.section("\n".join(lines))], callback_id=TOLD_VIEW)


def read_starting(text: str) -> Starting:
    """Read a start window's metadata. Raises NotOurs for anything else."""
    try:
        return Starting.model_validate_json(text)
    except ValidationError as error:
        raise NotOurs("written by another version of Loopgate") from error


def read_cancelling(text: str) -> Cancelling:
    """Read a cancel window's metadata. Raises NotOurs for anything else."""
    try:
        return Cancelling.model_validate_json(text)
    except ValidationError as error:
        raise NotOurs("written by another version of Loopgate") from error


def _block(index: int) -> str:
    return f"loopgate.start.{index}"


def _input(
    block_id: str,
    label: str,
    hint: str,
    *,
    is_optional: bool = False,
    multiline: bool = False,
    maximum: int = PLAIN_TEXT_INPUT_MAX,
) -> Block:
    box = b.text_input(ACTION, multiline=multiline, maximum=maximum)
    return b.asked_for(block_id, label, box, hint=hint, optional=is_optional)
