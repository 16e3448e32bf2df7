"""
Deliveries: what Slack sends to the request URL, read strictly in shape and tolerantly in content.

Fields we do not use are dropped before anything else sees them. Source of the shapes: docs.slack.dev,
reference/interaction-payloads, interactivity/implementing-slash-commands and reference/events.
"""

import re
from binascii import a2b_qp
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

_NOT_QUOTED = re.compile(rb"%(?![0-9A-Fa-f]{2})")

Id = Annotated[str, Field(min_length=1, max_length=255)]


class BadDelivery(ValueError):  # noqa: N818 - reads as what was sent
    """The body is not a delivery; the message is a stable code."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Team(_Part):
    """A workspace."""

    id: Id


class User(_Part):
    """Who acted; `team_id` is theirs, which in a shared channel may be another workspace."""

    id: Id
    team_id: Id | None = None


class Container(_Part):
    """Where a button stands: on a message or in a view."""

    type: str = ""
    message_ts: Id | None = None
    channel_id: Id | None = None
    thread_ts: Id | None = None
    view_id: Id | None = None


class Option(_Part):
    """An entry that was chosen."""

    value: str = ""


class Action(_Part):
    """The element that was acted on."""

    action_id: Id
    action_ts: Id | None = None
    value: str | None = None
    selected_option: Option | None = None


class Typed(_Part):
    """What an input holds: a text, a number as text, a chosen option or a person."""

    value: str | None = None
    selected_option: Option | None = None
    selected_options: tuple[Option, ...] = ()
    selected_user: Id | None = None


class ViewState(_Part):
    """What the inputs of a view hold, by block id and action id."""

    values: dict[str, dict[str, Typed]] = Field(default_factory=dict)


class View(_Part):
    """A modal or Home tab. `hash` changes with its content."""

    id: Id
    # Bolt looks at it, to tell modals from the steps of old workflows.
    type: str = "modal"
    hash: str = ""
    callback_id: str = ""
    private_metadata: str = ""
    state: ViewState = ViewState()


class _FromApp(_Part):
    team: Team | None = None
    api_app_id: Id | None = None
    trigger_id: str = ""

    @property
    def app_id(self) -> str | None:
        """The app this was sent to."""
        return self.api_app_id


class Click(_FromApp):
    """A button was pressed (`block_actions`)."""

    type: Literal["block_actions"]
    user: User
    container: Container = Container()
    view: View | None = None
    actions: Annotated[tuple[Action, ...], Field(min_length=1)]


class Submission(_FromApp):
    """A modal was submitted."""

    type: Literal["view_submission"]
    user: User
    view: View


class Closing(_FromApp):
    """A modal was closed without submitting; decides nothing."""

    type: Literal["view_closed"]
    user: User
    view: View


class Command(_Part):
    """A slash command."""

    type: Literal["command"] = "command"
    command: Annotated[str, Field(pattern=r"^/\S{1,100}$")]
    text: str = ""
    user_id: Id
    team_id: Id
    channel_id: Id | None = None
    api_app_id: Id | None = None
    trigger_id: str = ""


class Happened(_Part):
    """What an event tells: of a Home tab, of somebody (`member`), or of a user group."""

    type: Id
    user: Id | None = None
    member: dict[str, Any] | None = None
    tab: str | None = None
    subteam_id: Id | None = None
    subteam: Team | None = None
    view: View | None = None

    @property
    def group(self) -> str | None:
        """The user group it is about."""
        return self.subteam.id if self.subteam else self.subteam_id

    @model_validator(mode="before")
    @classmethod
    def _whole_user(cls, sent: Any) -> Any:
        # Most events name a user by id; those about a user hold all of it under the same key.
        if isinstance(sent, dict) and isinstance(sent.get("user"), dict):
            return {**sent, "member": sent["user"], "user": sent["user"].get("id")}
        return sent


class EventCallback(_Part):
    """An event of the Events API."""

    type: Literal["event_callback"]
    event: Happened
    event_id: str = ""
    team_id: Id | None = None
    api_app_id: Id | None = None


class UrlVerification(_Part):
    """Slack asks whether the request URL is ours."""

    type: Literal["url_verification"]
    challenge: str


Delivery = Click | Submission | Closing | Command | EventCallback | UrlVerification

_SENT: TypeAdapter[Delivery] = TypeAdapter(Annotated[Delivery, Field(discriminator="type")])


def read(content_type: str, body: bytes) -> Delivery:
    """
    Return the delivery in *body*.

    Raises:
        BadDelivery: ``unsupported_content_type``, ``invalid_body`` or ``unsupported_delivery``.
    """
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            return _read_json(body)
        case "application/x-www-form-urlencoded":
            fields = _form(body)
        case _:
            raise BadDelivery("unsupported_content_type")
    if b"payload" in fields:
        return _read_json(fields[b"payload"])
    try:
        sent = {name.decode(): value.decode() for name, value in fields.items()}
    except UnicodeDecodeError as error:
        raise BadDelivery("invalid_body") from error
    return understood({**sent, "type": "command"} if "command" in sent else sent)


def understood(sent: Any) -> Delivery:
    """
    Return the delivery that *sent*, decoded already, is.

    Raises:
        BadDelivery: ``invalid_body`` or ``unsupported_delivery``.
    """
    try:
        return _SENT.validate_python(sent)
    except ValidationError as error:
        raise _bad(error) from error


def _read_json(text: bytes) -> Delivery:
    # A click brings its whole message along: what nobody reads of it never becomes a value of Python's.
    try:
        return _SENT.validate_json(text)
    except ValidationError as error:
        raise _bad(error) from error


def _bad(error: ValidationError) -> BadDelivery:
    is_other = any(problem["type"].startswith("union_tag") for problem in error.errors(include_input=False))
    return BadDelivery("unsupported_delivery" if is_other else "invalid_body")


def _form(body: bytes) -> dict[bytes, bytes]:
    pairs = (field.partition(b"=") for field in body.split(b"&"))
    return {_unquoted(name): _unquoted(value) for name, _, value in pairs}


def _unquoted(text: bytes) -> bytes:
    """
    Return form-encoded *text* decoded, as `urllib.parse.unquote_plus` does it, in a tenth of the time or less.

    Quoted-printable is percent-encoding with another sign, and the standard library reads that in C.
    """
    if _NOT_QUOTED.search(text):
        raise BadDelivery("invalid_body")
    return a2b_qp(text.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"="))
