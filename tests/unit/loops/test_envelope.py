"""The short way of sealing an event gives the very bytes of the long way."""

from typing import Any

from builders import MORNING
from hypothesis import given
from hypothesis import strategies as st

from loops.actors import human
from loops.ledger import Envelope, LedgerHead, Letterhead, hash_of, line_of, seal

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(data=st.dictionaries(TEXT, JSON, max_size=4), tenant=TEXT, aggregate=TEXT, cause=st.none() | TEXT)
def test_an_envelope_seals_as_the_general_way_does(data: dict[str, Any], tenant: str, aggregate: str, cause) -> None:
    """What is read back is what was sealed; its hash and line are those that canonical JSON alone gives."""
    letterhead = Letterhead.of(
        tenant=tenant,
        loop_id="l",
        aggregate_id=aggregate,
        instance_id="li_1",
        definition_version="1.0.0",
        definition_digest="sha256:0",
    )
    envelope = Envelope(letterhead, occurred_at=MORNING, correlation_id="c", causation_id=cause)
    sealed = envelope.seal("ev_1", "loop.started", {**data, "actor": human("dana", "Dana")}, LedgerHead())
    fields = sealed.event.model_dump(exclude={"hash"})

    assert sealed.event.data == {
        **{name: value for name, value in data.items() if value is not None},
        "actor": {"type": "human", "id": "dana", "userId": "dana", "displayName": "Dana", "roles": []},
    }
    assert seal(fields).hash == sealed.hash == hash_of(sealed.event)
    assert line_of(seal(fields)) == sealed.line
