"""Spans of time as people write them in loop files: ``30m``, ``4h``, ``1h30m``, ``7d``."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PATTERN = r"(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?"
_SHAPE = re.compile(_PATTERN, re.ASCII)

#: Nobody waits longer for an answer; and dates do not run out under the sum of now and a span.
MAX_DURATION = timedelta(days=366)


def parse_duration(text: Any) -> Any:
    """Return the span *text* says, longer than nothing; what is not text passes through for pydantic to judge."""
    return _parsed(text) if isinstance(text, str) else text


# A policy is read and written with every decision, and there are but a few spans.
@lru_cache(maxsize=256)
def _parsed(text: str) -> timedelta:
    match = _SHAPE.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration; write it like 30m, 4h or 1h30m")
    seconds = sum(int(part[:-1]) * _UNITS[part[-1]] for part in match.groups() if part)
    if seconds == 0:
        raise ValueError("a duration must be longer than nothing")
    if seconds > MAX_DURATION.total_seconds():
        raise ValueError(f"{text!r} is longer than {MAX_DURATION.days}d, the longest duration there is")
    return timedelta(seconds=seconds)


@lru_cache(maxsize=256)
def format_duration(span: timedelta) -> str:
    """Return *span* in the same form, rounded down to whole seconds: ``1h30m``."""
    left = int(span.total_seconds())
    parts = []
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^(?=.){_PATTERN}$", "examples": ["30m", "4h"]}),
]
