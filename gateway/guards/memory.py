"""The policy point in memory: for tests, and for trying a loop out without a policy server."""

from collections.abc import Callable, Mapping
from typing import Any

from loops.guards import PolicyAnswer


class MemoryPolicyPoint:
    """A `PolicyPoint` that answers what *decide* says. `asked` has every question, `fail_next` makes the next fail."""

    def __init__(self, decide: Callable[[Mapping[str, Any]], PolicyAnswer]) -> None:
        self._decide = decide
        self._failures: list[Exception] = []
        self.asked: list[Mapping[str, Any]] = []

    def fail_next(self, *errors: Exception) -> None:
        """Let the next questions fail with *errors*, one each."""
        self._failures.extend(errors)

    async def ask(self, question: Mapping[str, Any]) -> PolicyAnswer:
        """Return the decision on *question*."""
        self.asked.append(question)
        if self._failures:
            raise self._failures.pop(0)
        return self._decide(question)
