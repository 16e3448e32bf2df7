"""Canonical JSON and digests: the same bytes as everybody else who implements RFC 8785."""

import math
import struct
from datetime import date

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from loops.canonical import MAX_SAFE_INTEGER, NotCanonical, canonical_json, digest

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# Half the double's bit patterns have exponents no literal in a test would think of.
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8, "big"))[0]).filter(math.isfinite),
    st.builds(lambda mantissa, power: float(f"{mantissa}e{power}"), st.integers(1, 99_999), st.integers(-30, 30)),
)
SCALARS = st.none() | st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | FLOATS | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=30,
)


@given(VALUES)
def test_every_value_has_the_bytes_of_the_reference(value: object) -> None:
    """Any JSON value is written byte for byte as the rfc8785 package writes it."""
    assert canonical_json(value) == rfc8785.dumps(value)


@given(FLOATS)
@example(0.0)
@example(-0.0)
@example(5e-324)
@example(1.7976931348623157e308)
@example(9007199254740993.0)
@example(1e21)
@example(999999999999999900000.0)
@example(1e-6)
@example(1e-7)
@example(333333333.33333329)
def test_numbers_are_printed_as_ecmascript_does(value: float) -> None:
    """A float of any magnitude is printed as the rfc8785 package prints it, and reads back as itself."""
    written = canonical_json(value)

    assert written == rfc8785.dumps(value)
    assert float(written) == value


def test_keys_are_sorted_by_utf16_units() -> None:
    """An astral key sorts before U+FFFF's neighbours, as UTF-16 has it and UTF-8 does not."""
    value = {"\ufb33": 1, "\U0001f600": 2, "\r": 3, "1": 4, "\u20ac": 5, "\u00f6": 6, "\u0080": 7}

    assert canonical_json(value) == rfc8785.dumps(value)
    assert canonical_json(value).decode().index("\U0001f600") < canonical_json(value).decode().index("\ufb33")


@pytest.mark.parametrize("value", [{"b": [1, 2.0, True, None], "a": {"x": ""}}, [], {}, '\u2028\u0000"\\/\b'])
def test_spaces_and_escapes_follow_the_rfc(value: object) -> None:
    """No space is written and only what must be escaped is."""
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**53, -(2**53), 10**400])
def test_numbers_without_a_json_form_are_refused(value: float) -> None:
    """NaN, infinities and integers a double cannot hold are refused, with the path they stand at."""
    with pytest.raises(NotCanonical, match=r"^\$\.a\[1\]: "):
        canonical_json({"a": [0, value]})


@pytest.mark.parametrize("value", ["\ud800", "\udc00\ud800", {"a": "x\udfff"}, {"\ud800": 1}])
def test_lone_surrogates_are_refused(value: object) -> None:
    """Text that is not Unicode has no bytes, in values and in keys."""
    with pytest.raises(NotCanonical, match="surrogate"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({1: 2}, r"^\$: key 1 is not text"),
        ({"a": {None: 2}}, r"^\$\.a: key None is not text"),
        ({"a": date(2026, 1, 1)}, r"^\$\.a: date is not a JSON type"),
        ([b"x"], r"^\$\[0\]: bytes is not a JSON type"),
        ({1, 2}, r"^\$: set is not a JSON type"),
    ],
)
def test_what_is_not_json_is_refused_by_path(value: object, says: str) -> None:
    """Only JSON's own types are written; the message says where the other one stands."""
    with pytest.raises(NotCanonical, match=says):
        canonical_json(value)


@given(VALUES)
def test_digests_name_their_algorithm(value: object) -> None:
    """A digest is SHA-256 in hex over the canonical bytes, and says so."""
    import hashlib

    assert digest(value) == f"sha256:{hashlib.sha256(rfc8785.dumps(value)).hexdigest()}"
