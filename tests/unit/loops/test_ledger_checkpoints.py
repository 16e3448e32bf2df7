"""Checkpoints: no sealed ledger can be shortened, changed or made to vanish without a contradiction."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.checkpoint import (
    BadCheckpoint,
    Checkpoint,
    SealedHead,
    Statement,
    checkpoint_line,
    contradiction,
    follow,
    make_checkpoint,
    prove,
    read_checkpoint,
    reason_against,
    statement_hash,
)
from loops.ledger import GENESIS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def a_hash(number: int) -> str:
    """A hash like any other."""
    return f"sha256:{number:064x}"


def heads(count: int, sequence: int = 3) -> list[SealedHead]:
    """The heads of *count* ledgers."""
    return [SealedHead(instance_id=f"li_{n}", sequence=sequence, hash=a_hash(n)) for n in range(count)]


def a_chain(*counts: int) -> list[Checkpoint]:
    """A chain of checkpoints over so many heads each."""
    chain: list[Checkpoint] = []
    for number, count in enumerate(counts):
        at = NOW + timedelta(hours=number)
        chain.append(make_checkpoint("acme", heads(count, number + 1), chain[-1] if chain else None, at))
    return chain


@given(st.lists(st.integers(0, 9), max_size=5))
def test_a_chain_of_checkpoints_can_be_followed(counts: list[int]) -> None:
    """Checkpoints made one after the other hold, from their first line or from a known one on."""
    chain = a_chain(*counts)
    lines = [checkpoint_line(each) for each in chain]

    assert list(follow(lines, "acme")) == chain
    assert list(follow(lines[1:], "acme", chain[0].statement if chain else None)) == chain[1:]


@given(st.integers(1, 40), st.data())
def test_every_sealed_head_can_be_proven(count: int, data: st.DataObject) -> None:
    """The proof of any head holds without the other heads, and is as long as the tree is high."""
    checkpoint = make_checkpoint("acme", heads(count), None, NOW)
    proof = prove(checkpoint, f"li_{data.draw(st.integers(0, count - 1))}")

    assert proof is not None
    assert reason_against(proof) is None
    assert len(proof.path) <= (count - 1).bit_length()
    assert prove(checkpoint, "li_unknown") is None


@given(st.integers(1, 40), st.data())
def test_a_proof_is_of_one_head_only(count: int, data: st.DataObject) -> None:
    """Another sequence, hash, instance, place, path or root under a valid proof is found."""
    checkpoint = make_checkpoint("acme", heads(count), None, NOW)
    proof = prove(checkpoint, f"li_{data.draw(st.integers(0, count - 1))}")
    assert proof is not None
    field: dict[str, Any] = data.draw(
        st.sampled_from(
            [
                {"head": proof.head.changed(sequence=2)},
                {"head": proof.head.changed(hash=a_hash(999))},
                {"head": proof.head.changed(instance_id="li_x")},
                {"index": count},
                {"index": -1},
                {"path": (*proof.path, a_hash(1))},
                {"path": ("no hash",)},
                {"statement": proof.statement.changed(root=a_hash(5))},
                {"statement": proof.statement.changed(count=count + 40)},
            ]
        )
    )

    assert reason_against(proof.changed(**field)) is not None


def test_an_inner_node_is_no_head() -> None:
    """Leaves and nodes are hashed apart, so a node of the tree cannot be passed off as a proven head's place."""
    four = make_checkpoint("acme", heads(4), None, NOW)
    two = make_checkpoint("acme", heads(2), None, NOW)
    proof = prove(four, "li_0")
    assert proof is not None

    shortened = proof.changed(path=proof.path[1:], statement=proof.statement.changed(count=2))
    assert reason_against(shortened) is not None
    assert two.root != four.root


@pytest.mark.parametrize("field", sorted(Statement.model_fields))
def test_editing_any_field_of_a_checkpoint_is_detected(field: str) -> None:
    """A checkpoint with one field changed does not hold at its place."""
    edits: dict[str, Any] = {
        "sequence": 3,
        "tenant": "other",
        "at": NOW,
        "count": 4,
        "root": a_hash(1),
        "previous_hash": GENESIS,
        "hash": a_hash(2),
    }
    chain = a_chain(2, 3, 1)
    edited = [chain[0], chain[1].changed(**{field: edits[field]}), chain[2]]

    with pytest.raises(BadCheckpoint) as found:
        list(follow(map(checkpoint_line, edited), "acme"))
    assert found.value.sequence == 2


@pytest.mark.parametrize(
    "changed",
    [
        lambda held: held[:-1],
        lambda held: held[::-1],
        lambda held: (*held, held[-1]),
        lambda held: (*held[:-1], held[-1].changed(hash=a_hash(7))),
        lambda held: (*held[:-1], held[-1].changed(sequence=9)),
    ],
)
def test_editing_the_heads_of_a_checkpoint_is_detected(changed: Any) -> None:
    """Heads dropped, repeated, reordered or edited do not make the root."""
    [checkpoint] = a_chain(3)
    forged = checkpoint.changed(heads=changed(checkpoint.heads))

    with pytest.raises(BadCheckpoint):
        list(follow([checkpoint_line(forged)], "acme"))


def test_a_checkpoint_sealed_anew_breaks_the_chain() -> None:
    """Making an edited checkpoint whole again shows at the next one, or against the hash somebody noted."""
    chain = a_chain(2, 2)
    forged = make_checkpoint("acme", heads(1), None, NOW)

    with pytest.raises(BadCheckpoint, match="previousHash") as found:
        list(follow([checkpoint_line(forged), checkpoint_line(chain[1])], "acme"))
    assert found.value.sequence == 2
    assert forged.hash != chain[0].hash
    assert statement_hash(forged.statement) == forged.hash


@pytest.mark.parametrize("dropped", [0, 1])
def test_dropping_a_checkpoint_is_detected(dropped: int) -> None:
    """A gap shows where it is."""
    chain = a_chain(1, 1, 1)
    del chain[dropped]

    with pytest.raises(BadCheckpoint) as found:
        list(follow(map(checkpoint_line, chain), "acme"))
    assert found.value.sequence == dropped + 1


@given(st.data())
def test_every_single_byte_edit_of_a_checkpoint_is_detected(data: st.DataObject) -> None:
    """One byte of a stored checkpoint changed is found."""
    line = checkpoint_line(a_chain(2)[0])
    at = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda each: each != line[at]))

    with pytest.raises(BadCheckpoint):
        list(follow([line[:at] + bytes([byte]) + line[at + 1 :]], "acme"))


@pytest.mark.parametrize("line", [b"", b"{}", b"[", b"null", b"[" * 100_000])
def test_what_is_no_checkpoint_is_said_to_be_none(line: bytes) -> None:
    """Any bytes in a checkpoint's place are refused with a reason."""
    with pytest.raises(ValueError, match="not"):
        read_checkpoint(line)
    with pytest.raises(BadCheckpoint):
        list(follow([line], "acme"))


def test_a_ledger_may_grow_but_not_change_under_a_checkpoint() -> None:
    """The sealed event must still be there, the same; what came after it is free."""
    sealed = SealedHead(instance_id="li_1", sequence=2, hash=a_hash(2))

    assert contradiction(sealed, [a_hash(1), a_hash(2)], 4) is None
    assert contradiction(sealed, [a_hash(1), a_hash(2), a_hash(3)], 4) is None
    assert contradiction(sealed, [a_hash(1)], 4) == "checkpoint 4 sealed 2 events, the ledger has 1"
    assert contradiction(sealed, [a_hash(1), a_hash(3)], 4) == "event 2 is not the one that checkpoint 4 sealed"


def test_a_checkpoint_seals_one_head_of_each_instance() -> None:
    """Two heads of one instance are refused, so that which one was sealed is never a question."""
    with pytest.raises(ValueError, match="one head of each instance"):
        make_checkpoint("acme", [*heads(1), *heads(1)], None, NOW)
