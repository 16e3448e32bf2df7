"""Rounds: load, judge, commit; and, where somebody else was first, all of it again, a bounded number of times."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from loops.canonical import digest
from loops.commit import IdempotencyRecord
from loops.draft import Decided
from loops.errors import Unavailable
from loops.outcomes import Outcome, Refused
from loops.ports import Conflict, Loaded, Repeated, StaleClaim, Store, Stored

#: How often a lost race is judged again. Somebody wins every round, so this is also how many may race at once.
MAX_ROUNDS = 64

Load = Callable[[], Awaitable[Loaded | None]]
Judged = Callable[[Loaded], Awaitable[Decided]]
Unknown = Callable[[], Refused]


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key and the digest of what it was used for."""

    key: str
    body_digest: str


def key_of(key: str | None, *body: Any) -> Key | None:
    """Return the key for a request of *body*, or None where the caller gave none."""
    return Key(f"call:{key}", digest(list(body))) if key else None


def click_key(key: str, *body: Any) -> Key:
    """Return the key of a click: in a space of its own, so that no caller can use it up and have the click refused."""
    return Key(f"click:{key}", digest(list(body)))


class Rounds:
    """Runs decisions against a store until one commits. Every answer is about the instance as it really stands."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, load: Load, judge: Judged, key: Key | None, unknown: Unknown) -> Outcome:
        """
        Judge what *load* gives and commit; answer what *unknown* makes of it where it gives nothing.

        Raises:
            Unavailable: After `MAX_ROUNDS` lost races.
        """
        for _ in range(MAX_ROUNDS):
            loaded = await load()
            if loaded is None:
                return unknown()
            answer = await self._commit(await judge(loaded), key)
            if answer is not None:
                return answer
        raise _contended()

    async def run_even_without(
        self, load: Load, judge: Callable[[Loaded | None], Awaitable[Decided]], key: Key | None
    ) -> Outcome:
        """Like `run`, where there need be nothing yet."""
        for _ in range(MAX_ROUNDS):
            answer = await self._commit(await judge(await load()), key)
            if answer is not None:
                return answer
        raise _contended()

    async def _commit(self, decided: Decided, key: Key | None) -> Outcome | None:
        """Commit, and return the answer; None where the race was lost and all must be judged again."""
        commit = decided.commit
        if commit is None:
            return decided.outcome
        if key:
            record = IdempotencyRecord(key=key.key, body_digest=key.body_digest, answer=_bare(decided.outcome))
            commit = commit._replace(idempotency=record)
        match await self._store.commit(commit):
            case Stored():
                return decided.outcome
            case Conflict():
                return None
            case Repeated(answer=answer):
                return await self._again(answer)
            case StaleClaim():
                return Refused(code="stale_claim", message="another worker has taken this effect over")

    async def _again(self, answer: Outcome | None) -> Outcome:
        if answer is None:
            return Refused(
                code="idempotency_key_reused", message="this key was used before, with another body; use a new key"
            )
        kept = answer.instance
        if kept is None:
            return answer.changed(repeated=True)
        if kept.request_id:
            loaded = await self._store.load_request(kept.tenant, kept.request_id)
        else:
            loaded = await self._store.load(kept.tenant, kept.instance_id)
        if loaded is None:
            return answer.changed(repeated=True)
        instance = kept.changed(data=loaded.instance.data, evidence=loaded.instance.evidence)
        return answer.changed(repeated=True, instance=instance, request=loaded.request)


def _bare(outcome: Outcome) -> Outcome:
    """Return *outcome* as it is kept under a key: what may be large is on the instance already, for every click."""
    instance = outcome.instance and outcome.instance.model_copy(update={"data": {}, "evidence": {}})
    return outcome.model_copy(update={"request": None, "instance": instance})


def _contended() -> Unavailable:
    return Unavailable(f"somebody else moved this loop first {MAX_ROUNDS} times in a row; try again", retry_after=1)
