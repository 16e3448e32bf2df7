"""A commit: everything one decision changes, written at once or not at all."""

from typing import NamedTuple

from loops.approvals import ApprovalRequest
from loops.deadlines import Deadline
from loops.definition import LoopDefinition
from loops.effects import Effect, EffectKind, EffectResult
from loops.events import Event
from loops.instance import LoopInstance
from loops.ledger import Sealed
from loops.outcomes import Outcome
from loops.values import Value


class IdempotencyRecord(Value):
    """Under `key`, a request whose body digests to `body_digest` was answered with `answer`."""

    key: str
    body_digest: str
    answer: Outcome


class Commit(NamedTuple):
    """
    One atomic write.

    `instance` is the next state of the instance; it must stand at `instance.version - 1` in the store, or, for a
    first version, not be there while its aggregate has no active instance. `sealed` are its events, ready to be kept
    as their lines. `requests` are the approval requests it closed and opened (one commit may do both), as they stand
    afterwards. `definition` is pinned with a start.
    `settled` ends an effect claimed under its fence, `revived` names dead effects that are tried once more,
    `abandoned` effects that nobody holds and that shall not take place; where one of them does not stand like that,
    nothing is written (`StaleClaim`). Of the kinds in `cancelled_kinds`, all effects so far that nobody holds are
    cancelled, but for those waiting to be tried again after an attempt that may have acted.
    """

    instance: LoopInstance
    sealed: tuple[Sealed, ...]
    requests: tuple[ApprovalRequest, ...] = ()
    effects: tuple[Effect, ...] = ()
    settled: EffectResult | None = None
    revived: tuple[str, ...] = ()
    abandoned: tuple[str, ...] = ()
    cancelled_kinds: tuple[EffectKind, ...] = ()
    deadlines: tuple[Deadline, ...] = ()
    cleared_deadlines: tuple[str, ...] = ()
    definition: LoopDefinition | None = None
    idempotency: IdempotencyRecord | None = None

    @property
    def events(self) -> tuple[Event, ...]:
        """The events, read back from the lines that are written."""
        return tuple(each.event for each in self.sealed)
