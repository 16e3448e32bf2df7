"""What an error of the SDK says: Slack's code, whether it passes, and when to come back."""

from typing import Literal

from slack_sdk.errors import SlackApiError

#: Slack's own troubles, which pass. Source: docs.slack.dev, reference/methods, "Errors" of each method.
PASSING_ERRORS = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
#: Source: docs.slack.dev, apis/web-api/rate-limits; both spellings are in use.
LIMITED_ERRORS = frozenset({"ratelimited", "rate_limited"})

#: What became of a call: `limited` is Slack's 429, `failed` may have taken place, `put_off` was never sent.
Answered = Literal["done", "refused", "limited", "failed", "put_off"]


def answered(error: BaseException) -> Answered:
    """Return what *error* says became of a call."""
    if not isinstance(error, SlackApiError):
        return "failed"
    code, status = error_code(error), status_of(error)
    if status == 429 or code in LIMITED_ERRORS:
        return "limited"
    return "failed" if code is None or code in PASSING_ERRORS or status >= 500 else "refused"


def error_code(error: SlackApiError) -> str | None:
    """Return Slack's error code, or None where the answer held none."""
    try:
        code = error.response["error"]
    except (KeyError, TypeError, ValueError):
        return None
    return code if isinstance(code, str) else None


def status_of(error: SlackApiError) -> int:
    """Return the HTTP status of the answer; 0 where there is none."""
    status = getattr(error.response, "status_code", None) or getattr(error.response, "status", None)
    return status if isinstance(status, int) else 0


def retry_after(error: SlackApiError) -> float | None:
    """Return the seconds Slack asks to wait, or None where it does not say."""
    headers = getattr(error.response, "headers", None) or {}
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), None)
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < float("inf") else None
