"""Evidence: bounded and canonical before it is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.canonical import MAX_SAFE_INTEGER
from loops.evidence import MAX_BYTES, MAX_DEPTH, BadEvidence, accept

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
        ({"a": "\ud800"}, "^evidence: text with a lone surrogate"),
    ],
)
def test_what_cannot_be_hashed_is_refused_by_path(evidence: dict[str, object], says: str) -> None:
    """Evidence without a canonical form is refused, naming the place."""
    with pytest.raises(BadEvidence, match=says):
        accept(evidence)
