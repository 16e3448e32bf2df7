"""
Queues: which effects wait together.

Cards have their own, so that a slow system of record never delays a card; so has what one person waits for (who they
are, what became of their click), which must not stand behind three hundred cards, and so have replies in threads,
which must stand behind them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from loops.effects import EffectKind

QueueName = Literal["people", "cards", "threads", "integrations", "providers"]

#: Every queue, in the order in which one worker that serves them all looks at them.
QUEUES: tuple[QueueName, ...] = get_args(QueueName)

#: Where each kind of effect waits.
QUEUE_OF: Mapping[EffectKind, QueueName] = MappingProxyType(
    {
        "card.post": "cards",
        "card.update": "cards",
        "card.thread": "threads",
        "card.direct": "threads",
        "card.invite": "threads",
        "card.alarm": "cards",
        "effect.alarm": "cards",
        "notice": "people",
        "details.file": "people",
        "answer.confirm": "people",
        "provider.ask": "providers",
        "integration.run": "integrations",
    }
)


def rq_name(queue: QueueName) -> str:
    """Return the name RQ knows *queue* by, apart from other users of the same Redis."""
    return f"loopgate.{queue}"
