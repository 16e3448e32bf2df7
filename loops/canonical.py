"""
Canonical JSON (RFC 8785) and the digests made over it.

Equal values give equal bytes, in any language that implements the RFC, so digests and ledgers can be checked by
somebody who does not trust us. Written here because `loops` depends on nothing but pydantic; tests compare every
byte with the `rfc8785` package.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

#: Integers beyond this lose digits in JavaScript's number type, so RFC 8785 (through I-JSON, RFC 7493) refuses them.
MAX_SAFE_INTEGER = 2**53 - 1

_quote = json.JSONEncoder(ensure_ascii=False).encode


class NotCanonical(ValueError):  # noqa: N818 - reads as what is wrong with the value
    """The value has no canonical JSON form; the message names the path and the reason."""


def canonical_json(value: Any) -> bytes:
    """
    Return the RFC 8785 form of *value*: sorted keys, no spaces, numbers as ECMAScript prints them, UTF-8.

    Raises:
        NotCanonical: For NaN, infinities, integers over 2^53-1, lone surrogates, keys that are not text, other types.
    """
    out: list[str] = []
    _write(value, out.append, "$")
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


def _write(value: Any, put: Any, path: str) -> None:
    if value is None:
        put("null")
    elif value is True:
        put("true")
    elif value is False:
        put("false")
    elif isinstance(value, str):
        put(_quote(value))
    elif isinstance(value, int):
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise NotCanonical(f"{path}: integer {value} is beyond 2^53-1; send it as text")
        put(str(int(value)))
    elif isinstance(value, float):
        put(_number(value, path))
    elif isinstance(value, Mapping):
        _write_object(value, put, path)
    elif isinstance(value, (list, tuple)):
        put("[")
        for index, item in enumerate(value):
            if index:
                put(",")
            _write(item, put, f"{path}[{index}]")
        put("]")
    else:
        raise NotCanonical(f"{path}: {type(value).__name__} is not a JSON type")


def _write_object(value: Mapping[Any, Any], put: Any, path: str) -> None:
    for key in value:
        if not isinstance(key, str):
            raise NotCanonical(f"{path}: key {key!r} is not text")
    put("{")
    for index, key in enumerate(sorted(value, key=_utf16)):
        put(("," if index else "") + _quote(key) + ":")
        _write(value[key], put, f"{path}.{key}")
    put("}")


def _utf16(key: str) -> bytes:
    # RFC 8785, 3.2.3: keys are sorted by UTF-16 code units; big-endian bytes compare the same way.
    return key.encode("utf-16-be", "surrogatepass")


def _number(value: float, path: str) -> str:
    """ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20) from Python's shortest round-trip digits."""
    if not math.isfinite(value):
        raise NotCanonical(f"{path}: {value} is not a JSON number")
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
