"""Payloads: the strict reading of a delivery's body. What two readers could read differently is refused."""

import json
from typing import Any, Literal
from urllib.parse import parse_qsl

from loops.canonical import NotCanonical, canonical_json
from loops.evidence import MAX_DEPTH


class Malformed(Exception):  # noqa: N818 - what is wrong with the body
    """The body is not one JSON object that means the same to everybody; the message says why."""


#: The field of a form that holds the JSON. GitHub and Slack name it so.
FORM_FIELD = b"payload"

# Fields a form may have: one counts.
_FIELDS_MAX = 16

ContentType = Literal["json", "form"]


def read_payload(body: bytes, content_type: ContentType = "json") -> dict[str, Any]:
    """
    Return the JSON object that *body* is, or that is the field `FORM_FIELD` of the form that it is.

    Raises:
        Malformed: If it is not UTF-8 or JSON, not an object, names a key twice, nests deeper than `MAX_DEPTH`, or has
            a value without canonical form: NaN, an infinity, an integer over 2^53-1, a lone surrogate.
    """
    if content_type == "form":
        body = _in_form(body)
    try:
        value = json.loads(body.decode(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise Malformed(f"the body nests deeper than {MAX_DEPTH} levels") from error
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:
        # Python's own limit on the digits of an integer speaks of its settings, ours on repeated keys of the key.
        why = str(error) if isinstance(error, _Refused) else "a number has too many digits"
        raise Malformed(f"the body is not acceptable JSON: {why}") from error
    if not isinstance(value, dict):
        raise Malformed("the body must be a JSON object")
    _check_depth(value)
    try:
        canonical_json(value)
    except NotCanonical as error:
        raise Malformed(f"the body has a value that is not the same everywhere: {error}") from error
    return value


def _in_form(body: bytes) -> bytes:
    # Vendors do not sign the content type: JSON of theirs, with "&payload=..." in somebody's text, could be sent again
    # as a form that says what that text says. No form begins like JSON.
    if body.lstrip()[:1] in {b"{", b"["}:
        raise Malformed("the body is not a form; it begins like JSON")
    try:
        fields = parse_qsl(body, strict_parsing=True, max_num_fields=_FIELDS_MAX)
    except ValueError as error:
        raise Malformed("the body is not a form") from error
    found = [value for name, value in fields if name == FORM_FIELD]
    if len(found) != 1:
        raise Malformed(f"the form must have the field 'payload' once; it has it {len(found)} times")
    return found[0]


class _Refused(ValueError):  # noqa: N818 - private to this reading
    pass


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise _Refused(f"the key {key[:80]!r} stands twice in one object")
        out[key] = value
    return out


def _no_constant(name: str) -> Any:
    raise _Refused(f"{name} is not a JSON number")


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise Malformed(f"the body nests deeper than {MAX_DEPTH} levels")
        containers = [item for item in level if isinstance(item, (dict, list))]
        level = [part for item in containers for part in (item.values() if isinstance(item, dict) else item)]
        depth += 1
