"""
Queues: which effects wait together.

Cards have their own, so that a slow system of record never delays a card; so has finding out who gave an answer, which
somebody waits for, and which must not stand behind three hundred cards.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from loops.effects import EffectKind

QueueName = Literal["people", "cards", "integrations", "providers"]

#: Every queue, in the order in which one worker that serves them all looks at them.
QUEUES: tuple[QueueName, ...] = get_args(QueueName)

#: Where each kind of effect waits.
QUEUE_OF: Mapping[EffectKind, QueueName] = MappingProxyType(
    {
        "card.post": "cards",
        "card.update": "cards",
        "card.thread": "cards",
        "notice": "cards",
        "answer.confirm": "people",
        "provider.ask": "providers",
        "integration.run": "integrations",
    }
)


def rq_name(queue: QueueName) -> str:
    """Return the name RQ knows *queue* by, apart from other users of the same Redis."""
    return f"loopgate.{queue}"
