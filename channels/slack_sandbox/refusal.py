"""What the Web API says instead of yes: Slack's error code, and where it says so, the messages beside it."""

from collections.abc import Sequence
from typing import Any

JsonObject = dict[str, Any]


class SlackRefusal(Exception):  # noqa: N818  Slack answers it; nothing here has failed
    """
    ``{"ok": false, "error": ...}``, to be answered with HTTP 200 unless *status* says otherwise.

    Args:
        error: Slack's error code, such as ``channel_not_found``.
        messages: The ``response_metadata.messages`` Slack adds to lint errors.
        retry_after_s: For 429 only: whole seconds for the ``Retry-After`` header.
    """

    def __init__(
        self, error: str, messages: Sequence[str] = (), *, status: int = 200, retry_after_s: int | None = None
    ) -> None:
        super().__init__(error)
        self.error = error
        self.messages = tuple(messages)
        self.status = status
        self.retry_after_s = retry_after_s

    def body(self) -> JsonObject:
        """The JSON Slack answers with."""
        answer: JsonObject = {"ok": False, "error": self.error}
        if self.messages:
            answer["errors"] = [message.removeprefix("[ERROR] ") for message in self.messages]
            answer["response_metadata"] = {"messages": list(self.messages)}
        return answer
