"""
Checkpoints: what seals the heads of a tenant's ledgers, so that no ledger can be shortened or vanish unseen.

A checkpoint seals every head that moved since the one before, under one Merkle root (RFC 9162, section 2.1), and is
chained to it; so all checkpoints together seal all heads. Who keeps a checkpoint's hash elsewhere can prove later
that no sealed event was changed, without having seen any. Pure: nothing here reads a clock or a store.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from loops.canonical import NotCanonical, canonical_json, digest, read_json
from loops.ledger import GENESIS, LedgerHead
from loops.values import Instant, Value


class SealedHead(Value):
    """Where the ledger of `instance_id` ended."""

    instance_id: str
    sequence: int
    hash: str


class Statement(Value):
    """
    What a checkpoint states without its heads, enough to prove one of them.

    `sequence` counts the tenant's checkpoints from 1. `root` is the Merkle root over `count` heads sorted by instance.
    `hash` is SHA-256 over the canonical JSON of everything else in here.
    """

    sequence: int
    tenant: str
    at: Instant
    count: int
    root: str
    previous_hash: str
    hash: str


class Checkpoint(Statement):
    """A statement with the heads it was made over."""

    heads: tuple[SealedHead, ...]

    @property
    def statement(self) -> Statement:
        """This checkpoint without its heads."""
        return Statement(**{name: getattr(self, name) for name in Statement.model_fields})


class Inclusion(Value):
    """
    The proof that `head` is under the root of `statement`.

    `index` is its place among the heads; `path` the hashes beside it, from the leaf up (RFC 9162, 2.1.3.1).
    """

    statement: Statement
    head: SealedHead
    index: int
    path: tuple[str, ...]


class BadCheckpoint(ValueError):  # noqa: N818 - reads as what was found
    """Checkpoint `sequence` (counted from 1) does not hold."""

    def __init__(self, sequence: int, reason: str) -> None:
        super().__init__(reason)
        self.sequence = sequence


def make_checkpoint(tenant: str, heads: Iterable[SealedHead], previous: Statement | None, at: datetime) -> Checkpoint:
    """Return the checkpoint over *heads* that follows *previous*. Raises ValueError for two heads of one instance."""
    ordered = tuple(sorted(heads, key=lambda head: head.instance_id))
    if len({head.instance_id for head in ordered}) != len(ordered):
        raise ValueError("a checkpoint seals one head of each instance")
    fields: dict[str, Any] = {
        "sequence": previous.sequence + 1 if previous else 1,
        "tenant": tenant,
        "at": at,
        "count": len(ordered),
        "root": _text(_root(_leaves(ordered))),
        "previous_hash": previous.hash if previous else GENESIS,
    }
    unsealed = Statement(**fields, hash="")
    return Checkpoint(**fields, hash=statement_hash(unsealed), heads=ordered)


def statement_hash(statement: Statement) -> str:
    """Return the hash a statement must carry."""
    body = statement.as_json()
    del body["hash"]
    return digest(body)


def checkpoint_line(checkpoint: Checkpoint) -> bytes:
    """Return the one spelling of *checkpoint*: its canonical JSON."""
    return canonical_json(checkpoint.as_json())


def read_checkpoint(line: bytes) -> Checkpoint:
    """Return the checkpoint whose line this is. Raises ValueError where it is not exactly that."""
    try:
        checkpoint = Checkpoint.model_validate(read_json(line))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"not a checkpoint: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if checkpoint_line(checkpoint) != line:
        raise ValueError("not spelled canonically")
    return checkpoint


def reason_alone(checkpoint: Checkpoint) -> str | None:
    """Return why *checkpoint* is not whole in itself, whatever came before it, or None."""
    if checkpoint.hash != statement_hash(checkpoint.statement):
        return "the checkpoint's content does not match its hash"
    names = [head.instance_id for head in checkpoint.heads]
    if len(names) != checkpoint.count or names != sorted(set(names)):
        return "its heads are not one per instance, in order, as many as it counts"
    if checkpoint.root != _text(_root(_leaves(checkpoint.heads))):
        return "its heads do not make its root"
    return None


def follow(lines: Iterable[bytes], tenant: str, after: Statement | None = None) -> Iterable[Checkpoint]:
    """
    Yield the checkpoints of *tenant* in *lines*, each proven to follow the one before, the first to follow *after*.

    Raises:
        BadCheckpoint: At the first one that does not hold.
    """
    last = after
    for line in lines:
        place = last.sequence + 1 if last else 1
        try:
            checkpoint = read_checkpoint(line)
            reason = _reason_against(checkpoint, tenant, place, last)
        except (ValueError, NotCanonical) as error:
            raise BadCheckpoint(place, str(error)) from error
        if reason:
            raise BadCheckpoint(place, reason)
        last = checkpoint.statement
        yield checkpoint


def prove(checkpoint: Checkpoint, instance_id: str) -> Inclusion | None:
    """Return the proof that *checkpoint* sealed a head of *instance_id*; None where it did not."""
    for index, head in enumerate(checkpoint.heads):
        if head.instance_id == instance_id:
            path = _path(index, _leaves(checkpoint.heads))
            return Inclusion(
                statement=checkpoint.statement, head=head, index=index, path=tuple(_text(each) for each in path)
            )
    return None


def reason_against(inclusion: Inclusion) -> str | None:
    """Return why *inclusion* proves nothing, or None: the statement is whole and the head is under its root."""
    statement = inclusion.statement
    if statement.hash != statement_hash(statement):
        return "the checkpoint's content does not match its hash"
    try:
        root = _climb(
            _leaf(inclusion.head), inclusion.index, statement.count, [_bytes(each) for each in inclusion.path]
        )
    except ValueError:
        return "the path is not one of this checkpoint"
    return None if _text(root) == statement.root else "the head is not under the checkpoint's root"


def contradiction(sealed: SealedHead, hashes: Sequence[str], number: int) -> str | None:
    """
    Return how a ledger contradicts a head that checkpoint *number* sealed, or None.

    *hashes* are those of the ledger's events, in order; the ledger may have grown since.
    """
    if len(hashes) < sealed.sequence:
        return f"checkpoint {number} sealed {sealed.sequence} events, the ledger has {len(hashes)}"
    found = hashes[sealed.sequence - 1] if sealed.sequence else LedgerHead().hash
    return None if found == sealed.hash else f"event {sealed.sequence} is not the one that checkpoint {number} sealed"


def _reason_against(checkpoint: Checkpoint, tenant: str, place: int, last: Statement | None) -> str | None:
    if checkpoint.tenant != tenant:
        return f"it belongs to tenant {checkpoint.tenant}"
    if checkpoint.sequence != place:
        return f"checkpoint {checkpoint.sequence} stands at place {place}"
    if checkpoint.previous_hash != (last.hash if last else GENESIS):
        return "previousHash is not the hash of the checkpoint before"
    return reason_alone(checkpoint)


def _leaves(heads: Iterable[SealedHead]) -> list[bytes]:
    return [_leaf(head) for head in heads]


def _leaf(head: SealedHead) -> bytes:
    # RFC 9162, 2.1.1: leaves and nodes are hashed with different first bytes, so that neither passes for the other.
    return hashlib.sha256(b"\x00" + canonical_json(head.as_json())).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(count: int) -> int:
    """Return the largest power of two below *count*."""
    return 1 << (count - 1).bit_length() - 1


def _root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    left = _split(len(leaves))
    return _node(_root(leaves[:left]), _root(leaves[left:]))


def _path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    left = _split(len(leaves))
    if index < left:
        return [*_path(index, leaves[:left]), _root(leaves[left:])]
    return [*_path(index - left, leaves[left:]), _root(leaves[:left])]


def _climb(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes:
    if not 0 <= index < count:
        raise ValueError("no such place")
    if count == 1:
        if path:
            raise ValueError("too long")
        return leaf
    if not path:
        raise ValueError("too short")
    left = _split(count)
    if index < left:
        return _node(_climb(leaf, index, left, path[:-1]), path[-1])
    return _node(path[-1], _climb(leaf, index - left, count - left, path[:-1]))


def _text(hashed: bytes) -> str:
    return f"sha256:{hashed.hex()}"


def _bytes(text: str) -> bytes:
    hashed = bytes.fromhex(text.removeprefix("sha256:"))
    if _text(hashed) != text:
        raise ValueError("not a hash")
    return hashed
