"""
Exceptions: what should not happen, told apart by type so that retry policy never reads a text.

    LoopgateError
    ├── Unavailable          try again; may say when
    │   ├── NotYet           too early; nothing was done
    │   └── StoreUnavailable the store is away; a commit's result is unknown
    └── Rejected             do not try again; somebody must change something
        └── Gone             what was to be changed is no longer there

What the domain expects is not here: those are the values in `loops.outcomes`.
"""


class LoopgateError(Exception):
    """Base of every exception Loopgate raises on purpose. The message names the thing and the next step."""


class Unavailable(LoopgateError):  # noqa: N818 - the state it reports
    """The other side cannot answer now. `retry_after` is in seconds, None where it did not say."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotYet(Unavailable):
    """
    It is too early; nothing was done, so nothing needs to be looked for.

    Try again at `retry_after`, not before; None where nobody knows when it will be time.
    """


class StoreUnavailable(Unavailable):
    """
    The store cannot be reached or did not answer in time.

    During a commit the result is *unknown*: repeat it under the same idempotency key and read the answer.
    """


class Rejected(LoopgateError):  # noqa: N818 - the state it reports
    """The other side refused; the same call will be refused again."""


class Gone(Rejected):
    """What was to be changed is no longer there: a card that somebody deleted."""
