"""What auditing needs from a store beside `loops.ports.Store`."""

from collections.abc import Sequence
from typing import Protocol

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
