"""Evidence: bounded and canonical before it is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.canonical import MAX_SAFE_INTEGER
from loops.evidence import MAX_BYTES, MAX_DEPTH, BadEvidence, accept, gathered

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")).filter(lambda key: not key.startswith("_")), JSON))
def test_plain_evidence_is_kept_as_it_came(evidence: dict[str, object]) -> None:
    """What is plain JSON within the bounds is accepted unchanged."""
    assert accept(evidence) == evidence


def _nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


def test_nesting_is_bounded() -> None:
    """The last allowed level passes, the next is refused, and a bottomless one does not exhaust the stack."""
    accept(_nested(MAX_DEPTH))

    for levels in (MAX_DEPTH + 1, 50_000):
        with pytest.raises(BadEvidence, match=f"nested deeper than {MAX_DEPTH} levels"):
            accept(_nested(levels))


def test_size_is_bounded_in_canonical_bytes() -> None:
    """The bound counts bytes, not characters, of the whole evidence."""
    around = len(b'{"a":""}')
    accept({"a": "x" * (MAX_BYTES - around)})

    with pytest.raises(BadEvidence, match=f"{MAX_BYTES + 1} bytes of canonical JSON"):
        accept({"a": "x" * (MAX_BYTES - around + 1)})
    with pytest.raises(BadEvidence, match="bytes of canonical JSON"):
        accept({"a": "é" * (MAX_BYTES // 2)})


def test_what_is_gathered_is_bounded_as_a_whole() -> None:
    """To the byte, however it was gathered; a key that comes again counts once."""
    around = len(b'{"a":"","b":""}')
    large, rest = {"a": "x" * (MAX_BYTES - 1000)}, MAX_BYTES - around - (MAX_BYTES - 1000)
    for earlier in (large, accept(large), gathered(accept({"a": "y" * 200_000}), accept(large), where="so far")):
        assert gathered(earlier, accept({"b": "x" * rest}), where="so far") == {**large, "b": "x" * rest}
        with pytest.raises(BadEvidence, match=f"so far: {MAX_BYTES + 1} bytes"):
            gathered(earlier, accept({"b": "x" * (rest + 1)}), where="so far")


def test_what_is_gathered_again_and_again_never_grows_beyond_itself() -> None:
    """The same large value brought many times is still one value."""
    whole = gathered({}, accept({"a": "x" * 100_000}), where="so far")
    for number in range(20):
        whole = gathered(whole, accept({"a": "x" * 100_000, "n": number}), where="so far")

    assert whole == {"a": "x" * 100_000, "n": 19}


def test_loopgates_own_findings_cannot_be_brought_along() -> None:
    """A caller cannot write the soft warnings that people trust as ours."""
    with pytest.raises(BadEvidence, match=r"evidence\._softGuardWarnings: this key is Loopgate's own"):
        accept({"_softGuardWarnings": []})


@pytest.mark.parametrize(
    ("evidence", "says"),
    [
        ({"score": float("nan")}, r"^evidence\.score: nan is not a JSON number"),
        ({"n": [1, 2**60]}, r"^evidence\.n\[1\]: integer"),
        ({"a": {"b": object()}}, r"^evidence\.a\.b: object is not a JSON type"),
        ({"a": [0, {"b": "x\ud800"}]}, r"^evidence\.a\[1\]\.b: text with a lone surrogate$"),
        ({"a": {"\udfff": 1}}, r"^evidence\.a\.\\udfff: text with a lone surrogate$"),
        ({"a": {1: 1}}, r"^evidence\.a: key 1 is not text"),
        ({"n": 10**5000}, r"^evidence\.n: integer of 16610 bits"),
    ],
)
def test_what_cannot_be_hashed_is_refused_by_path(evidence: dict[str, object], says: str) -> None:
    """Evidence without a canonical form is refused, naming the place."""
    with pytest.raises(BadEvidence, match=says):
        accept(evidence)


def test_nesting_is_refused_by_path() -> None:
    """The path leads to the level that is one too many."""
    evidence = {"fine": [[]], "a": _nested(MAX_DEPTH)}

    with pytest.raises(BadEvidence) as caught:
        accept(evidence)

    assert str(caught.value) == f"evidence.a{'.in' * MAX_DEPTH}: nested deeper than {MAX_DEPTH} levels"


BAD = st.sampled_from(
    [float("nan"), float("inf"), -float("inf"), 2**53, -(2**53), "\ud800", "a\udfffb", b"x", {1, 2}, object()]
)
STEPS = st.lists(st.text(max_size=6) | st.integers(0, 3), min_size=1, max_size=6)


@given(JSON, BAD, STEPS)
def test_whatever_cannot_be_kept_is_found_wherever_it_is(fine: object, bad: object, steps: list[str | int]) -> None:
    """One bad value anywhere is refused, the message leads to it, and the message can be written to any log."""
    value: object = bad
    path = ""
    for step in reversed(steps[1:]):
        value = [fine] * step + [value] if isinstance(step, int) else {"other": fine, step: value}
        path = (f"[{step}]" if isinstance(step, int) else f".{step}") + path
    first = str(steps[0])

    with pytest.raises(BadEvidence) as caught:
        accept({first: value})

    message = str(caught.value)
    message.encode()
    if all(str(step).isprintable() for step in steps):
        assert message.startswith(f"evidence.{first}{path}: ")


@given(st.text(st.characters(), min_size=1, max_size=400).filter(lambda key: key != "_softGuardWarnings"))
def test_a_key_never_breaks_the_message_about_it(key: str) -> None:
    """However long or odd a sender's key is, the refusal is one short printable line."""
    with pytest.raises(BadEvidence) as caught:
        accept({key: {"x": float("nan")}})

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2_500


@given(JSON)
def test_reserved_keys_are_refused_only_where_they_are_ours(value: object) -> None:
    """Inside somebody's own object the name means nothing to us."""
    with pytest.raises(BadEvidence, match=r"^evidence\._softGuardWarnings: "):
        accept({"_softGuardWarnings": value})

    assert accept({"mine": {"_softGuardWarnings": value}}) == {"mine": {"_softGuardWarnings": value}}


@given(st.integers(0, 60), st.sampled_from([{}, [], 0, "x"]), st.booleans())
def test_depth_counts_levels_of_any_kind(levels: int, inner: object, lists: bool) -> None:
    """Objects and lists are levels alike; what stands at the last level may be anything."""
    value = inner
    for _ in range(levels):
        value = [value] if lists else {"a": value}

    if levels + 1 <= MAX_DEPTH:
        assert accept({"a": value}) == {"a": value}
    else:
        with pytest.raises(BadEvidence, match="nested deeper"):
            accept({"a": value})
