"""The ledger: any history verifies, any edited one does not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.canonical import canonical_json
from loops.events import Event
from loops.ledger import (
    GENESIS,
    BadLine,
    Broken,
    LedgerHead,
    Verified,
    event_in,
    hash_of,
    line_of,
    read_line,
    seal,
    verify,
    verify_lines,
)

T0 = datetime(2026, 11, 22, 12, tzinfo=UTC)
DATA = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 1e20, 1e21, 1e-7, 2.0**53, 123456789012345680000.0])
    | st.text(st.characters(codec="utf-8"), max_size=5),
    max_size=3,
)


def a_ledger(contents: list[dict[str, Any]], instance_id: str = "li_1") -> tuple[list[Event], LedgerHead]:
    """A ledger with one event per content, and its head."""
    events: list[Event] = []
    head = LedgerHead()
    for sequence, data in enumerate(contents, start=1):
        event = seal(
            {
                "event_id": f"{instance_id}_ev_{sequence}",
                "type": "loop.started" if sequence == 1 else "loop.signal.received",
                "sequence": sequence,
                "tenant": "default",
                "loop_id": "test.loop",
                "aggregate_id": "CHG-1",
                "instance_id": instance_id,
                "definition_version": "1.0.0",
                "definition_digest": GENESIS,
                "occurred_at": T0 + timedelta(seconds=sequence),
                "correlation_id": "c",
                "data": data,
                "previous_hash": head.hash,
            }
        )
        events.append(event)
        head = LedgerHead(sequence=sequence, hash=event.hash)
    return events, head


LEDGERS = st.lists(DATA, min_size=1, max_size=6).map(a_ledger)
LONGER = st.lists(DATA, min_size=2, max_size=6).map(a_ledger)

#: For every field of an event, another value than any event above has.
EDITS: dict[str, Any] = {
    "event_id": "ev_forged",
    "type": "loop.failed",
    "sequence": 99,
    "tenant": "other",
    "loop_id": "other.loop",
    "aggregate_id": "CHG-2",
    "instance_id": "li_2",
    "definition_version": "2.0.0",
    "definition_digest": "sha256:" + "1" * 64,
    "occurred_at": T0,
    "correlation_id": "d",
    "causation_id": "ev_0",
    "data": {"forged": True},
    "previous_hash": "sha256:" + "2" * 64,
    "hash": "sha256:" + "3" * 64,
}


@given(LEDGERS)
def test_any_history_verifies(ledger: tuple[list[Event], LedgerHead]) -> None:
    """What was sealed in order verifies, alone and against its head."""
    events, head = ledger

    assert verify(events) == Verified(head=head)
    assert verify(events, head) == Verified(head=head)


@given(LEDGERS)
def test_a_history_survives_its_json_form(ledger: tuple[list[Event], LedgerHead]) -> None:
    """An exported ledger verifies as the stored one does."""
    events, head = ledger

    assert verify([Event.model_validate_json(event.model_dump_json()) for event in events], head) == Verified(head=head)


def test_every_field_of_an_event_has_an_edit() -> None:
    """No field can be added to events without a proof that editing it is found."""
    assert EDITS.keys() == Event.model_fields.keys()


@pytest.mark.parametrize("field", EDITS)
@given(ledger=LEDGERS, choice=st.randoms(use_true_random=False))
def test_editing_any_field_is_detected(field: str, ledger: tuple[list[Event], LedgerHead], choice: Any) -> None:
    """One edited field of one event breaks the chain at that event or where its hash is used."""
    events, head = ledger
    place = choice.randrange(len(events))
    events[place] = events[place].changed(**{field: EDITS[field]})

    broken = verify(events, head)

    assert isinstance(broken, Broken)
    # A ledger's first event says whose it is, so a foreign first event shows at the second, or against the head.
    assert broken.sequence in {place + 1, place + 2}


@given(ledger=LEDGERS, choice=st.randoms(use_true_random=False), field=st.sampled_from(sorted(EDITS.keys() - {"hash"})))
def test_an_edit_with_a_new_hash_is_detected(ledger: tuple[list[Event], LedgerHead], choice: Any, field: str) -> None:
    """Sealing the edited event again moves the break to the next event or to the head; it does not mend it."""
    events, head = ledger
    place = choice.randrange(len(events))
    edited = events[place].changed(**{field: EDITS[field]})
    events[place] = edited.changed(hash=hash_of(edited))

    assert isinstance(verify(events, head), Broken)


@given(ledger=LONGER, choice=st.randoms(use_true_random=False))
def test_dropping_an_event_is_detected(ledger: tuple[list[Event], LedgerHead], choice: Any) -> None:
    """A gap shows at its place; the end that is cut off shows against the head."""
    events, head = ledger
    place = choice.randrange(len(events))
    del events[place]

    assert verify(events, head) == Broken(
        sequence=place + 1,
        reason=f"sequence {place + 2} stands at place {place + 1}"
        if place < len(events)
        else f"the ledger ends at {place}, the instance's head says {place + 1}",
    )


@given(ledger=LEDGERS, kept=st.integers(0, 5))
def test_truncation_is_detected_against_the_head(ledger: tuple[list[Event], LedgerHead], kept: int) -> None:
    """Any shorter beginning verifies alone, which is why the head is kept, and is found out against it."""
    events, head = ledger
    beginning = events[: min(kept, len(events) - 1)]

    assert isinstance(verify(beginning), Verified)
    assert isinstance(verify(beginning, head), Broken)


@given(ledger=LONGER, choice=st.randoms(use_true_random=False))
def test_reordering_is_detected(ledger: tuple[list[Event], LedgerHead], choice: Any) -> None:
    """Two events that changed places break the chain at the first of them."""
    events, head = ledger
    one, other = sorted(choice.sample(range(len(events)), 2))
    events[one], events[other] = events[other], events[one]

    broken = verify(events, head)

    assert isinstance(broken, Broken)
    assert broken.sequence == one + 1


@given(ledger=LEDGERS, foreign=LEDGERS, choice=st.randoms(use_true_random=False))
def test_a_foreign_event_is_detected(
    ledger: tuple[list[Event], LedgerHead], foreign: tuple[list[Event], LedgerHead], choice: Any
) -> None:
    """An event of another instance is found wherever it is put in, even renumbered and sealed to fit the chain."""
    events, head = ledger
    place = choice.randrange(1, len(events) + 1)
    before = events[place - 1]
    stranger = foreign[0][0].changed(instance_id="li_2", sequence=place + 1, previous_hash=before.hash)
    events.insert(place, stranger.changed(hash=hash_of(stranger)))

    broken = verify(events, head)

    assert isinstance(broken, Broken)
    assert (broken.sequence, broken.reason) == (place + 1, f"event {stranger.event_id} belongs to li_2")


@given(LEDGERS)
def test_another_instances_ledger_is_detected_against_the_head(ledger: tuple[list[Event], LedgerHead]) -> None:
    """A ledger that is whole but of another instance does not fit this instance's head."""
    events, head = ledger
    others, _ = a_ledger([event.data for event in events], "li_2")

    assert isinstance(verify(others), Verified)
    assert isinstance(verify(others, head), Broken)


@given(ledger=LEDGERS)
def test_a_repeated_event_is_detected(ledger: tuple[list[Event], LedgerHead]) -> None:
    """The same event twice is one too many."""
    events, head = ledger

    assert isinstance(verify([*events, events[-1]], head), Broken)


def test_an_event_without_a_canonical_form_is_broken_not_an_error() -> None:
    """Verifying a forged ledger never raises: what cannot be hashed is a break with its reason."""
    events, head = a_ledger([{"a": 1}])
    forged = events[0].model_copy(update={"data": {"a": float("nan")}})

    broken = verify([forged], head)

    assert isinstance(broken, Broken)
    assert "no canonical form" in broken.reason


def test_an_empty_ledger_ends_before_the_first_event() -> None:
    """Nothing verifies as nothing, and not against a head that knows of more."""
    assert verify([]) == Verified(head=LedgerHead())
    assert isinstance(verify([], LedgerHead(sequence=1, hash=GENESIS)), Broken)


@given(LEDGERS)
def test_a_line_is_the_canonical_json_of_its_event(ledger: tuple[list[Event], LedgerHead]) -> None:
    """A line can be checked with any RFC 8785 library; it reads back as its event and verifies as the event does."""
    events, head = ledger
    lines = [line_of(event) for event in events]

    assert lines == [canonical_json(event.as_json()) for event in events]
    assert [line_of(read_line(line)) for line in lines] == lines
    assert [line_of(event_in(line)) for line in lines] == lines
    assert verify_lines(lines, head) == Verified(head=head)


@st.composite
def edited_lines(draw: st.DrawFn) -> tuple[list[bytes], LedgerHead, int]:
    """The lines of a ledger with one byte changed, put in or taken out, and the sequence it happened at."""
    events, head = draw(LEDGERS)
    lines = [line_of(event) for event in events]
    place = draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    at = draw(st.integers(0, len(line) - 1))
    byte = bytes([draw(st.integers(0, 255))])
    match draw(st.sampled_from(["replace", "insert", "delete"])):
        case "replace":
            lines[place] = line[:at] + (byte if byte != line[at : at + 1] else b"\x00") + line[at + 1 :]
        case "insert":
            lines[place] = line[:at] + byte + line[at:]
        case _:
            lines[place] = line[:at] + line[at + 1 :]
    return lines, head, place + 1


@given(edited_lines())
def test_every_single_byte_edit_is_detected(edited: tuple[list[bytes], LedgerHead, int]) -> None:
    """One byte of one line changed, put in or taken out is found, without the head, at that very sequence."""
    lines, _, sequence = edited

    broken = verify_lines(lines)

    assert isinstance(broken, Broken)
    assert broken.sequence == sequence


def test_every_bit_of_a_line_counts() -> None:
    """No bit of a stored line can be flipped unseen."""
    [event], _ = a_ledger([{"ratio": 0.5, "count": 1, "text": "Grüße \u2028 \x07", "none": None, "list": [True, {}]}])
    line = line_of(event)

    flipped = (line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :] for at in range(len(line)) for bit in range(8))
    assert all(isinstance(verify_lines([each]), Broken) for each in flipped)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"n":1', b'"n":1.0'),
        (b'"n":1', b'"n":1e0'),
        (b'"n":1', b'"n": 1'),
        (b'"n":1', b'"n":2,"n":1'),
        (b'"z":0', b'"z":-0'),
        (b'"z":0', b'"z":-0.0'),
        (b'"t":"a"', b'"t":"\\u0061"'),
        (b'"big":100000000000000000000', b'"big":1e20'),
        (b'"big":100000000000000000000', b'"big":100000000000000000001'),
        (b'"sequence":1', b'"sequence":"1"'),
        (b'"sequence":1', b'"sequence":true'),
        (b'12:00:01Z"', b'12:00:01+00:00"'),
        (b'12:00:01Z"', b'12:00:01.000Z"'),
        (b'{"agg', b'{"added":null,"agg'),
        (b'"correlationId"', b'"causationId":null,"correlationId"'),
        (b'"type"', b'"Type"'),
        (b'{"agg', b'\xef\xbb\xbf{"agg'),
        (b'{"agg', b' {"agg'),
        (b'loop.started"}', b'loop.started"}\n'),
        (b'loop.started"}', b'loop.started"}{}'),
        (b"loop.started", b"loop.begun"),
    ],
)
def test_another_spelling_of_the_same_event_is_not_accepted(old: bytes, new: bytes) -> None:
    """A line has one spelling: what reads as the same value, or is read leniently elsewhere, is a break."""
    [event], _ = a_ledger([{"n": 1, "z": 0, "t": "a", "big": 1e20}])
    line = line_of(event)
    assert line.count(old) == 1

    changed = line.replace(old, new)

    with pytest.raises(BadLine):
        read_line(changed)
    assert isinstance(verify_lines([changed]), Broken)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b"NaN",
        b'{"data":{"a":Infinity}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5_000,
        b'"\\ud800"',
    ],
)
def test_what_is_no_event_is_a_break_not_an_error(line: bytes) -> None:
    """Whatever bytes stand in a ledger, verifying them gives a break with a reason."""
    assert isinstance(verify_lines([line]), Broken)


@pytest.mark.parametrize("levels", [200, 300, 20_000])
def test_an_event_nested_too_deeply_is_a_break_not_an_error(levels: int) -> None:
    """Nesting that no event of ours has cannot bring the verification down."""
    [event], _ = a_ledger([{"a": 1}])
    line = line_of(event).replace(b'"a":1', b'"a":' + b"[" * levels + b"]" * levels)

    assert isinstance(verify_lines([line]), Broken)


def test_a_break_says_where_it_was_found() -> None:
    """An end that does not fit the head names the last event; more events than the head knows, the first of them."""
    events, head = a_ledger([{"a": 1}, {"a": 2}, {"a": 3}])

    other = verify(events, LedgerHead(sequence=3, hash=GENESIS))
    assert other == Broken(sequence=3, reason="the last event's hash is not the one the instance's head has")
    longer = verify(events, LedgerHead(sequence=2, hash=events[1].hash))
    assert longer == Broken(sequence=3, reason="the ledger ends at 3, the instance's head says 2")
    shorter = verify_lines([line_of(event) for event in events[:1]], head)
    assert shorter == Broken(sequence=2, reason="the ledger ends at 1, the instance's head says 3")
