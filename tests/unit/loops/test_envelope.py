"""The short way of sealing an event gives the very bytes of the long way."""

from typing import Any

from builders import MORNING
from hypothesis import given
from hypothesis import strategies as st

from loops.actors import human
from loops.events import Event
from loops.ledger import Envelope, LedgerHead, hash_of, line_of
from loops.values import INSTANT

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
    """Hash and line are those of the event read back and written by canonical JSON alone."""
    common = {
        "tenant": tenant,
        "loopId": "l",
        "aggregateId": aggregate,
        "instanceId": "li_1",
        "definitionVersion": "1.0.0",
        "definitionDigest": "sha256:0",
        "occurredAt": INSTANT.dump_python(MORNING, mode="json"),
        "correlationId": "c",
    } | ({"causationId": cause} if cause else {})
    event = Envelope(common).seal("ev_1", "loop.started", {**data, "actor": human("dana", "Dana")}, LedgerHead())
    again = Event.model_validate(event.as_json())

    assert event.hash == hash_of(again)
    assert line_of(event) == line_of(again)
