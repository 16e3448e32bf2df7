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
from functools import cached_property
from typing import Any, NoReturn, Protocol

#: Integers beyond this lose digits in JavaScript's number type, so RFC 8785 (through I-JSON, RFC 7493) refuses them.
MAX_SAFE_INTEGER = 2**53 - 1

#: JSON's text in C: quotes, backslashes and control characters escaped, nothing else. Source: CPython's json.encoder.
_quote = json.encoder.encode_basestring


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
    out: list[str] = []
    try:
        _write(value, out.append)
    except _Unwritable as error:
        raise NotCanonical(f"${error.path}: {error.reason}") from None
    try:
        return "".join(out).encode()
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


def _write(value: Any, put: Callable[[str], object]) -> None:
    """Write *value* through *put*. Every event of every decision passes here, so types are told by identity first."""
    kind = type(value)
    if kind is str:
        put(_quote(value))
    elif kind is dict:
        _write_object(value, put)
    elif value is None:
        put("null")
    elif kind is bool:
        put("true" if value else "false")
    elif kind is int:
        put(_integer_text(value))
    elif kind is float:
        put(_number(value))
    elif kind is list or kind is tuple:
        _write_array(value, put)
    else:
        _write_other(value, put)


class HasCanonical(Protocol):
    """A value that knows its canonical JSON."""

    @property
    def canonical(self) -> str:
        """RFC 8785 text."""


def _write_other(value: Any, put: Callable[[str], object]) -> None:
    """Write values that know their own form, and what is a JSON type by inheritance only, such as enumerations."""
    # A property, not a method: decimal.Decimal has one of that name.
    known: HasCanonical | None = value if isinstance(getattr(type(value), "canonical", None), cached_property) else None
    if known is not None:
        put(known.canonical)
    elif isinstance(value, str):
        put(_quote(str.__str__(value)))
    elif isinstance(value, int):
        put(_integer_text(int(value)))
    elif isinstance(value, float):
        put(_number(float(value)))
    elif isinstance(value, Mapping):
        _write_object(value, put)
    elif isinstance(value, (list, tuple)):
        _write_array(value, put)
    else:
        raise _Unwritable(f"{type(value).__name__} is not a JSON type")


def _write_object(value: Mapping[Any, Any], put: Callable[[str], object]) -> None:
    try:
        keys = sorted(value) if all(map(_is_plain, value)) else sorted(value, key=_utf16)
    except (TypeError, AttributeError):
        odd = next(key for key in value if not isinstance(key, str))
        raise _Unwritable(f"key {odd!r} is not text") from None
    before = "{"
    for key in keys:
        put(before + _quote(key) + ":")
        before = ","
        try:
            _write(value[key], put)
        except _Unwritable as error:
            raise error.under(f".{key}") from None
    put("}" if before == "," else "{}")


def _write_array(value: Sequence[Any], put: Callable[[str], object]) -> None:
    before = "["
    for index, item in enumerate(value):
        put(before)
        before = ","
        try:
            _write(item, put)
        except _Unwritable as error:
            raise error.under(f"[{index}]") from None
    put("]" if before == "," else "[]")


#: Whether a key sorts the same by code points and by UTF-16 code units. Refuses, by TypeError, what is not text.
_is_plain = str.isascii


def _utf16(key: str) -> bytes:
    # RFC 8785, 3.2.3: keys are sorted by UTF-16 code units; big-endian bytes compare the same way.
    return key.encode("utf-16-be", "surrogatepass")


def _integer_text(value: int) -> str:
    if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        shown = str(value) if value.bit_length() < 200 else f"of {value.bit_length()} bits"
        raise _Unwritable(f"integer {shown} is beyond 2^53-1; send it as text")
    return str(value)


def _number(value: float) -> str:
    """ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20) from Python's shortest round-trip digits."""
    if not math.isfinite(value):
        raise _Unwritable(f"{value} is not a JSON number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"
