"""The ledger: any history verifies, any edited one does not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.events import Event
from loops.ledger import GENESIS, Broken, LedgerHead, Verified, hash_of, seal, verify

T0 = datetime(2026, 11, 22, 12, tzinfo=UTC)
DATA = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(codec="utf-8"), max_size=5),
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
