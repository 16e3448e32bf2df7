"""Coercion: values that senders write as text, read as what they say. Strict: nothing is guessed, nothing rounded."""

import json
import math
import re
from typing import Any, Literal, assert_never

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")

Kind = Literal["text", "integer", "number", "boolean"]


class Unfit(ValueError):  # noqa: N818 - what is wrong with the value
    """The value does not say one of that kind; the message says which kind."""


def read_as(kind: Kind, value: Any) -> Any:
    """
    Return the JSON *value* as *kind*. Raises `Unfit`.

    Text becomes a number or boolean where all of it is JSON's spelling of one; a number without a fraction becomes an
    integer; any scalar becomes text, spelled as in JSON.
    """
    match kind:
        case "text":
            return _text(value)
        case "integer":
            return _integer(value)
        case "number":
            return _number(value)
        case "boolean":
            return _boolean(value)
        case _:
            assert_never(kind)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (list, dict)):
        raise Unfit("must be text, a number or true or false")
    return json.dumps(value)


def _integer(value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("must be a whole number")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        read: int | float = json.loads(value)
        value = read
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Unfit("must be a number")
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    if not isinstance(value, bool):
        raise Unfit("must be true or false")
    return value
