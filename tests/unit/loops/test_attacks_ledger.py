"""Attacks on the record: whatever is done to stored events shows, and whatever happened can be stored and verified."""

import json
from typing import Any

import pytest
from builders import ANALYSIS, DATA, MORNING, TENANT, a_house, an_agent, an_answer, ci
from hypothesis import given, settings
from hypothesis import strategies as st

from loops.canonical import MAX_SAFE_INTEGER
from loops.ledger import GENESIS, Broken, LedgerHead, Verified, line_of, read_line, seal, verify, verify_lines

NUMBERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, JSON, max_size=5))
@settings(max_examples=200, deadline=None)
def test_whatever_evidence_is_stored_is_read_back_as_it_was_hashed(evidence: dict[str, Any]) -> None:
    """Every JSON value survives its line: null, -0.0, 1.0, subnormals, control characters, keys out of order."""
    event = seal({**FIELDS, "data": {"evidence": evidence}})
    again = read_line(line_of(event))

    assert line_of(again) == line_of(event)
    assert isinstance(verify([again], LedgerHead(sequence=1, hash=event.hash)), Verified)


async def test_no_byte_of_a_stored_history_can_be_changed_unseen() -> None:
    """Every seventh byte of every line, its lowest bit or its letter case flipped: each time the ledger breaks."""
    lines, head = await _a_history()
    assert isinstance(verify_lines(lines, head), Verified)
    unseen = []
    for place, line in enumerate(lines):
        for index in range(0, len(line), 7):
            for bit in (0x01, 0x20):
                forged = line[:index] + bytes([line[index] ^ bit]) + line[index + 1 :]
                if not isinstance(verify_lines([*lines[:place], forged, *lines[place + 1 :]], head), Broken):
                    unseen.append((place, index, bit))

    assert not unseen


@pytest.mark.parametrize(
    "forge",
    [
        lambda line: b'{"data":{},' + line[1:],
        lambda line: line.replace(b'{"aggregateId"', b'{"tenant":"other","aggregateId"'),
        lambda line: line.replace(b'"sequence":1', b'"sequence":1.0'),
        lambda line: line.replace(b'"sequence":1', b'"sequence":"1"'),
        lambda line: line.replace(b"CHG-7", b"\\u0043HG-7"),
        lambda line: line.replace(b":00:00Z", b":00:00.000Z"),
        lambda line: line.replace(b":00:00Z", b":00:00+00:00"),
        lambda line: line.replace(b'"hash"', b'"note":null,"hash"'),
        lambda line: line.replace(b'"hash"', b'"causationId":null,"hash"'),
        lambda line: line + b"\n",
        lambda line: b" " + line,
        lambda line: b"\xef\xbb\xbf" + line,
        lambda line: b"",
        lambda line: b"[" * 100_000,
        lambda line: b'{"data":' * 5_000,
        lambda line: b"\xff\xfe",
    ],
)
async def test_no_second_spelling_of_an_event_is_accepted(forge: Any) -> None:
    """Keys twice, other numbers, escapes, stamps, white space, garbage: broken at the first event, nothing raised."""
    lines, head = await _a_history()
    forged = forge(lines[0])
    assert forged != lines[0]
    broken = verify_lines([forged, *lines[1:]], head)

    assert isinstance(broken, Broken)
    assert broken.sequence == 1


async def test_no_line_can_be_dropped_doubled_swapped_or_taken_from_elsewhere() -> None:
    """Any history that is not the whole of this one, in order, breaks where it first differs."""
    lines, head = await _a_history()
    other, _ = await _a_history("CHG-8")
    for place in range(len(lines)):
        assert isinstance(verify_lines(lines[:place] + lines[place + 1 :], head), Broken)
        assert isinstance(verify_lines([*lines[: place + 1], *lines[place:]], head), Broken)
        assert isinstance(verify_lines([*lines[:place], other[place], *lines[place + 1 :]], head), Broken)
    for place in range(len(lines) - 1):
        swapped = [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]
        assert isinstance(verify_lines(swapped, head), Broken)


async def test_a_history_written_anew_from_any_event_on_does_not_fit_its_head() -> None:
    """Who recomputes every hash after an edit still ends at another hash than the instance's."""
    lines, head = await _a_history()
    events = [json.loads(line) for line in lines]
    events[0]["data"]["data"]["replicas"] = 1_000
    last = GENESIS
    forged = []
    for event in events:
        del event["hash"]
        sealed = seal({**event, "previousHash": last})
        last = sealed.hash
        forged.append(line_of(sealed))
    verdict = verify_lines(forged, head)

    assert isinstance(verify_lines(forged), Verified)
    assert isinstance(verdict, Broken)
    assert verdict.sequence == head.sequence


FIELDS: dict[str, Any] = {
    "event_id": "ev_1",
    "type": "loop.started",
    "sequence": 1,
    "tenant": TENANT,
    "loop_id": "test.change",
    "aggregate_id": "CHG-7",
    "instance_id": "li_1",
    "definition_version": "1.0.0",
    "definition_digest": "sha256:0",
    "occurred_at": MORNING,
    "correlation_id": "c",
    "previous_hash": GENESIS,
}


async def _a_history(aggregate: str = "CHG-7") -> tuple[list[bytes], LedgerHead]:
    """Return the lines of a loop that was rejected, and its head."""
    house = a_house()
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id=aggregate, data=DATA, actor=ci())
    asked = await house.engine.transition(
        tenant=TENANT, aggregate_id=aggregate, transition="submit_analysis", actor=an_agent(), evidence=ANALYSIS
    )
    assert asked.request is not None
    ended = await house.engine.answer(an_answer(asked.request, "reject", "dana", reason="Not now"), tenant=TENANT)
    assert ended.instance is not None
    return list(await house.store.lines(TENANT, ended.instance.instance_id)), ended.instance.head
