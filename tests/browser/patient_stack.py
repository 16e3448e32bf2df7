"""A stack for tests with a browser: nothing in it runs out while the machine is busy with the browser."""

from pathlib import Path
from typing import Any

from patience import PATIENCE_S
from stack import Stack


class PatientStack(Stack):
    """
    A stack whose Slack and whose workers wait as long as the tests do.

    With Slack's 3 s a gateway that stood still for as long opens no modal, and its late answer is none; with a lease of
    2 s a worker that did calls the system of record twice. Those limits have tests of their own, without a browser.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home, adjust=_wait, LOOPGATE_EFFECT_LEASE_S=str(PATIENCE_S))


def _wait(_: dict[str, Any], sandbox: dict[str, Any]) -> None:
    sandbox.update(ack_deadline_s=PATIENCE_S, trigger_life_s=PATIENCE_S)
