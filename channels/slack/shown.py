"""
What a person was shown, as it travels in button values and modal metadata and comes back with a click.

A hint to find the request with, never an authority: the engine compares version and digest with its own record.
"""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loops.approvals import ApprovalRequest

T = TypeVar("T", bound=BaseModel)

#: Action ids of the buttons on a card. An answer button decides at once; an ask button opens the reason modal first.
ANSWER = "loopgate.answer."
ASK = "loopgate.ask."
DETAILS = "loopgate.details"
PAGE = "loopgate.page."
FILE = "loopgate.file"
INFORM = "loopgate.inform"
EDIT = "loopgate.edit"
MORE = "loopgate.more"
HOME_PAGE = "loopgate.home.page."
RETRY = "loopgate.retry."

#: What the entries of the menu do.
QUESTION, HAND_OVER, LATER, WHY, WITHDRAW = "ask", "hand", "later", "why", "back"

#: Callback ids of our modals.
REASON_VIEW = "loopgate.reason"
DETAILS_VIEW = "loopgate.details"
EDIT_VIEW = "loopgate.edit"
QUESTION_VIEW = "loopgate.question"
REPLY_VIEW = "loopgate.reply"
HAND_OVER_VIEW = "loopgate.handover"
WITHDRAW_VIEW = "loopgate.withdraw"
TOLD_VIEW = "loopgate.told"


class NotOurs(ValueError):  # noqa: N818 - reads as what the value is
    """A button value or modal metadata that this version of Loopgate did not write."""


class Shown(BaseModel):
    """A request as one button showed it. One-letter keys keep a button value (2,000 characters) short."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    request_id: str = Field(alias="r", min_length=1)
    version: int = Field(alias="v", ge=1)
    digest: str = Field(alias="d", min_length=1)
    transition_id: str | None = Field(default=None, alias="t")
    page: int | None = Field(default=None, alias="p", ge=1)

    @classmethod
    def of(cls, request: ApprovalRequest, *, transition_id: str | None = None, page: int | None = None) -> "Shown":
        """Return what a button on *request* stands for."""
        return cls(
            request_id=request.request_id,
            version=request.version,
            digest=request.digest,
            transition_id=transition_id,
            page=page,
        )

    def encode(self) -> str:
        """Return the compact JSON form."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def decode(cls, text: str | None) -> "Shown":
        """Read `encode`'s form. Raises NotOurs for anything else."""
        return _read(cls, text)


class More(BaseModel):
    """What an entry of the menu, or the Answer button of a question, stands for. Short: an option's value holds 150."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    request_id: str = Field(alias="r", min_length=1)
    verb: str | None = Field(default=None, alias="v")
    question_id: str | None = Field(default=None, alias="q")

    def encode(self) -> str:
        """Return the compact JSON form."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def decode(cls, text: str | None) -> "More":
        """Read `encode`'s form. Raises NotOurs for anything else."""
        return _read(cls, text)


class Retry(BaseModel):
    """What a Retry button stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    effect_id: str = Field(alias="e", min_length=1)

    def encode(self) -> str:
        """Return the compact JSON form."""
        return self.model_dump_json()

    @classmethod
    def decode(cls, text: str | None) -> "Retry":
        """Read `encode`'s form. Raises NotOurs for anything else."""
        return _read(cls, text)


class Asked(BaseModel):
    """What a modal was opened from: the button, the card it stands on, and the question it answers, if any."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    shown: Shown = Field(alias="s")
    action_id: str = Field(alias="a")
    channel: str | None = Field(default=None, alias="c")
    message_ts: str | None = Field(default=None, alias="m")
    thread_ts: str | None = Field(default=None, alias="h")
    question_id: str | None = Field(default=None, alias="q")

    def encode(self) -> str:
        """Return the compact JSON form."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def decode(cls, text: str | None) -> "Asked":
        """Read `encode`'s form. Raises NotOurs for anything else."""
        return _read(cls, text)


def _read(model: type[T], text: str | None) -> T:
    try:
        return model.model_validate_json(text or "", by_alias=True, by_name=False)
    except ValidationError as error:
        raise NotOurs("written by another version of Loopgate") from error
