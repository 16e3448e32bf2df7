"""What auditing needs from a store beside `loops.ports.Store`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gateway.auditing.archived import Archived
from loops.checkpoint import Checkpoint


class Checkpoints(Protocol):
    """A tenant's chain of checkpoints. Every method may raise `loops.errors.StoreUnavailable`."""

    async def moved(self, tenant: str, *, limit: int = 1000) -> Sequence[str]:
        """Return up to *limit* instances with events that no checkpoint has sealed."""

    async def checkpoint_lines(self, tenant: str, *, after: int = 0, limit: int = 100) -> Sequence[bytes]:
        """Return up to *limit* checkpoints with a sequence greater than *after*, in order, as they are stored."""

    async def latest_checkpoint(self, tenant: str) -> bytes | None:
        """Return the last checkpoint as it is stored, or None before the first."""

    async def save_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Keep *checkpoint*; False where another one has its sequence already, or there is none before it."""


class Archives(Protocol):
    """What is archived, and the way out of the store. Every method may raise `loops.errors.StoreUnavailable`."""

    async def closed_before(
        self, tenant: str, before: datetime, *, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, str]]:
        """Return place and id of instances closed before *before* behind the place *after*, first closed first."""

    async def trim(self, archived: Archived, requests: Sequence[str]) -> bool:
        """
        Keep *archived* in the place of its instance, ledger, *requests*, cards and effects, in one atomic step.

        False, and nothing is written, where the instance is not over, has moved on, has events that no checkpoint
        sealed, or an effect that is not done with.
        """

    async def archived(self, tenant: str, name: str) -> Archived | None:
        """Return what is kept of the instance *name*, or of the latest one on that business object, if archived."""

    async def archive(
        self, tenant: str, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[Sequence[Archived], str | None]:
        """
        Return a page of what is archived, last closed first, and the next cursor.

        Raises:
            Rejected: If *cursor* is not one that this listing gave.
        """
