"""An integration in memory: remembers what it was asked and acts once per effect. For tests, and loops tried out."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from gateway.integrations.ports import Run
from loops.canonical import NotCanonical, canonical_json
from loops.errors import LoopgateError, Rejected


class MemoryIntegration:
    """
    An `Integration` that acts by remembering.

    `runs` is every call, `performed` what took place, by effect id. Failures given to `fail_next` are raised first,
    one per call, before anything takes place.
    """

    def __init__(self, kind: str = "memory") -> None:
        self.kind = kind
        self.runs: list[Run] = []
        self.performed: dict[str, Run] = {}
        self._failures: deque[LoopgateError] = deque()

    def fail_next(self, failures: Iterable[LoopgateError]) -> None:
        """Raise *failures* from the next calls, in order."""
        self._failures.extend(failures)

    async def run(self, run: Run) -> dict[str, Any]:
        """
        Remember *run*; the same effect again changes nothing and gets the same answer.

        Raises:
            Rejected: If the parameters have no canonical JSON form.
        """
        self.runs.append(run)
        if self._failures:
            raise self._failures.popleft()
        try:
            canonical_json(run.parameters)
        except NotCanonical as error:
            raise Rejected(f"{run.integration}.{run.action}: the parameters cannot be sent: {error}") from error
        done = self.performed.setdefault(run.effect_id, run)
        return {"performed": f"{done.integration}.{done.action}", "effectId": done.effect_id}
