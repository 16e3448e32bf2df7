"""Trigger ids: what an interaction hands the app so that it may open one modal, soon."""

import secrets
from dataclasses import dataclass

from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.refusal import SlackRefusal

#: Triggers remembered, so that a used one can be told from one never issued.
TRIGGERS_MAX = 5_000


@dataclass(slots=True)
class Trigger:
    """One interaction's right to open a modal for *user*; *view_id* is set when it happened inside a modal."""

    user: str
    issued_at: float
    view_id: str = ""
    channel: str = ""
    exchanged: bool = False


class TriggerDesk:
    """Issues trigger ids and takes each back once."""

    def __init__(self, clock: Clock, life_s: float) -> None:
        self._clock = clock
        self._life_s = life_s
        self._issued: dict[str, Trigger] = {}

    def issue(self, user: str, *, view_id: str = "", channel: str = "") -> str:
        """A new trigger id in Slack's shape, ``123.456.hex``."""
        trigger_id = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._issued[trigger_id] = Trigger(user, self._clock.now(), view_id, channel)
        if len(self._issued) > TRIGGERS_MAX:
            del self._issued[next(iter(self._issued))]
        return trigger_id

    def check(self, trigger_id: str) -> Trigger:
        """
        The trigger, still unused; call `exchange` when the view it opens is accepted.

        Raises:
            SlackRefusal: ``invalid_trigger_id``, ``exchanged_trigger_id`` or ``expired_trigger_id``.
        """
        trigger = self._issued.get(trigger_id)
        if trigger is None:
            raise SlackRefusal("invalid_trigger_id")
        if trigger.exchanged:
            raise SlackRefusal("exchanged_trigger_id")
        if self._clock.now() - trigger.issued_at > self._life_s:
            raise SlackRefusal("expired_trigger_id")
        return trigger

    def exchange(self, trigger_id: str) -> None:
        """Use the trigger up."""
        self._issued[trigger_id].exchanged = True
