"""The arguments of one Web API call, as read from its form, JSON body or query."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from channels.slack_sandbox.refusal import SlackRefusal

Item = TypeVar("Item")


class Arguments:
    """Typed reading of call arguments; forms bring strings, JSON bodies bring values, both are taken."""

    def __init__(self, given: dict[str, Any], *, origin: str = "") -> None:
        """*origin* is where the call reached this Slack, without a slash at its end: ``http://127.0.0.1:8081``."""
        self._given = given
        self.origin = origin

    def __contains__(self, name: str) -> bool:
        return self._given.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A string; numbers become strings."""
        value = self._given.get(name)
        return default if value is None else str(value)

    def needed(self, name: str) -> str:
        """
        A string that must be there.

        Raises:
            SlackRefusal: ``invalid_arguments`` when it is not.
        """
        value = self.text(name)
        if not value:
            raise SlackRefusal("invalid_arguments", [f"[ERROR] missing required field: {name}"])
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean: true, "true", 1 or "1"."""
        return self.text(name, str(default)).casefold() in {"true", "1"}

    def json(self, name: str, refusal: str) -> Any:
        """
        A JSON value, as itself or written as a string; None when absent.

        Raises:
            SlackRefusal: *refusal*, when the string is not JSON.
        """
        value = self._given.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError as error:
            raise SlackRefusal(refusal) from error

    def page(self, items: Sequence[Item], *, default: int = 100, maximum: int = 1_000) -> tuple[list[Item], str]:
        """
        One page of *items* by `limit` and `cursor`, and the next cursor (empty on the last page).

        Raises:
            SlackRefusal: ``invalid_limit`` or ``invalid_cursor``.
        """
        try:
            limit = int(self.text("limit", str(default))) or default
        except ValueError as error:
            raise SlackRefusal("invalid_limit") from error
        if limit < 0:
            raise SlackRefusal("invalid_limit")
        limit = min(limit, maximum)
        start = _offset(self.text("cursor"))
        following = start + limit
        return list(items[start:following]), _cursor(following) if following < len(items) else ""


def _cursor(offset: int) -> str:
    return base64.b64encode(f"next:{offset}".encode()).decode()


def _offset(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except (binascii.Error, ValueError) as error:
        raise SlackRefusal("invalid_cursor") from error
