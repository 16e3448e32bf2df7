"""
Canonical JSON (RFC 8785) and the digests made over it.

Equal values give equal bytes, in any language that implements the RFC, so digests and ledgers can be checked by
somebody who does not trust us. Written here because `loops` depends on nothing but pydantic; tests compare every
byte with the `rfc8785` package.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

#: Integers beyond this lose digits in JavaScript's number type, so RFC 8785 (through I-JSON, RFC 7493) refuses them.
MAX_SAFE_INTEGER = 2**53 - 1

#: JSON's text in C: quotes, backslashes and control characters escaped, nothing else. Source: CPython's json.encoder.
quoted = json.encoder.encode_basestring


class NotCanonical(ValueError):  # noqa: N818 - reads as what is wrong with the value
    """The value has no canonical JSON form; the message names the path and the reason."""


class _Unwritable(Exception):  # noqa: N818 - on its way to becoming a NotCanonical
    """A value that cannot be written; the path to it is put together on the way up, so that writing costs none."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def under(self, step: str) -> "_Unwritable":
        self.path = step + self.path
        return self


def canonical_json(value: Any) -> bytes:
    """
    Return the RFC 8785 form of *value*: sorted keys, no spaces, numbers as ECMAScript prints them, UTF-8.

    Raises:
        NotCanonical: For NaN, infinities, integers over 2^53-1, lone surrogates, keys that are not text, other types.
    """
    return encoded(canonical_text(value))


def canonical_text(value: Any) -> str:
    """Return the RFC 8785 form of *value*, to be composed with other such text before all of it is `encoded`."""
    try:
        return _text(value)
    except _Unwritable as error:
        raise NotCanonical(f"${error.path}: {error.reason}") from None


def canonical_fields(fields: Mapping[str, Any]) -> str:
    """
    Return the canonical text of the object of *fields*, those that are None left out.

    For fields by names of our own, which come again and again: their order is remembered.
    """
    written, name = [], ""
    try:
        for name, opening in _openings(tuple(fields)):
            item = fields[name]
            if item is not None:
                written.append(opening + _WRITERS.get(type(item), _other)(item))
    except _Unwritable as error:
        raise NotCanonical(f"$.{name}{error.path}: {error.reason}") from None
    return f"{{{','.join(written)}}}"


@lru_cache(maxsize=1_024)
def _openings(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, f"{quoted(name)}:") for name in sorted(names, key=_utf16))


def encoded(text: str) -> bytes:
    """Return canonical *text* as its bytes. Raises NotCanonical where it has a lone surrogate."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical(f"$: text with a lone surrogate at character {error.start}") from error


def digest(value: Any) -> str:
    """Return ``sha256:<hex>`` over the canonical JSON of *value*."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()


def read_json(data: bytes) -> Any:
    """
    Return the value that *data* spells as JSON; writing it again gives *data* if, and only if, that is canonical.

    Integers beyond 2^53-1 become the doubles whose canonical form they may be.

    Raises:
        NotCanonical: If this is not JSON in UTF-8, has NaN or infinities, or is nested too deeply to be read.
    """
    try:
        return json.loads(data.decode(), parse_int=_integer, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"not JSON: {error}") from error


def _integer(digits: str) -> int | float:
    # RFC 8785 prints doubles up to 1e21 in plain digits, so a longer integer is a double; if not, it shows.
    number = int(digits) if len(digits) < 18 else 2**53
    return number if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER else float(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _text(value: Any) -> str:
    return _WRITERS.get(type(value), _other)(value)


class Canonical:
    """A value that knows its own canonical JSON."""

    __slots__ = ()

    @property
    def canonical(self) -> str:
        """RFC 8785 text."""
        raise NotImplementedError


def _other(value: Any) -> str:
    """Return the text of a value that knows its own, or that is a JSON type by inheritance only: an enumeration."""
    if isinstance(value, Canonical):
        return value.canonical
    if isinstance(value, str):
        return quoted(str.__str__(value))
    if isinstance(value, int):
        return _integer_text(int(value))
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, (list, tuple)):
        return _array(value)
    raise _Unwritable(f"{type(value).__name__} is not a JSON type")


def _object(value: Mapping[Any, Any]) -> str:
    try:
        keys = sorted(value) if "".join(value).isascii() else sorted(value, key=_utf16)
    except TypeError:
        odd = next(key for key in value if not isinstance(key, str))
        raise _Unwritable(f"key {odd!r} is not text") from None
    written, key = [], ""
    try:
        for key in keys:
            item = value[key]
            written.append(f"{quoted(key)}:{_WRITERS.get(type(item), _other)(item)}")
    except _Unwritable as error:
        raise error.under(f".{key}") from None
    return f"{{{','.join(written)}}}"


def _array(value: Sequence[Any]) -> str:
    written: list[str] = []
    try:
        for item in value:
            written.append(_WRITERS.get(type(item), _other)(item))  # noqa: PERF401 - how far it came names the path
    except _Unwritable as error:
        raise error.under(f"[{len(written)}]") from None
    return f"[{','.join(written)}]"


def _utf16(key: str) -> bytes:
    # RFC 8785, 3.2.3: keys are sorted by UTF-16 code units; big-endian bytes compare the same way, ASCII does anyhow.
    return key.encode("utf-16-be", "surrogatepass")


def _integer_text(value: int) -> str:
    if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        shown = str(value) if value.bit_length() < 200 else f"of {value.bit_length()} bits"
        raise _Unwritable(f"integer {shown} is beyond 2^53-1; send it as text")
    return str(value)


def _number(value: float) -> str:
    """ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20) from Python's shortest round-trip digits."""
    if value == 0:
        return "0"
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    # Without an exponent both languages print the same digits: Python prints one below 1e-4 and from 1e16.
    return _unlike_python(value, text) if "e" in text or "n" in text else text


def _unlike_python(value: float, text: str) -> str:
    if not math.isfinite(value):
        raise _Unwritable(f"{value} is not a JSON number")
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = text.removeprefix("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).rstrip("0")
    point = len(whole) + int(exponent)
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"


#: How each JSON type is written. Every event of every decision passes here, so types are told by identity first.
_WRITERS: Mapping[type, Callable[[Any], str]] = {
    str: quoted,
    dict: _object,
    int: _integer_text,
    float: _number,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): lambda _: "null",
    list: _array,
    tuple: _array,
}
