"""Checkpoints, and which instances none has sealed, in memory."""

from collections import defaultdict
from collections.abc import Sequence

from loops.checkpoint import Checkpoint, checkpoint_line


class MemoryCheckpoints:
    """`gateway.auditing.ports.Checkpoints`."""

    def __init__(self) -> None:
        self._checkpoints: defaultdict[str, list[bytes]] = defaultdict(list)
        self._moved: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def move(self, tenant: str, instance_id: str, sequence: int) -> None:
        """Note that the ledger of an instance goes to *sequence* now."""
        self._moved[tenant][instance_id] = sequence

    async def moved(self, tenant: str, *, limit: int = 1000) -> Sequence[str]:
        """Return up to *limit* instances with events that no checkpoint has sealed."""
        return sorted(self._moved.get(tenant, ()))[: max(0, limit)]

    async def checkpoint_lines(self, tenant: str, *, after: int = 0, limit: int = 100) -> Sequence[bytes]:
        """Return up to *limit* checkpoints with a sequence greater than *after*, in order, as they are stored."""
        first = max(0, after)
        return self._checkpoints.get(tenant, [])[first : first + max(0, limit)]

    async def latest_checkpoint(self, tenant: str) -> bytes | None:
        """Return the last checkpoint as it is stored, or None before the first."""
        return next(reversed(self._checkpoints.get(tenant, [])), None)

    async def save_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Keep *checkpoint*; False where another one has its sequence already, or there is none before it."""
        tenant = checkpoint.tenant
        if len(self._checkpoints.get(tenant, [])) != checkpoint.sequence - 1:
            return False
        self._checkpoints[tenant].append(checkpoint_line(checkpoint))
        for head in checkpoint.heads:
            if self._moved[tenant].get(head.instance_id) == head.sequence:
                del self._moved[tenant][head.instance_id]
        return True
