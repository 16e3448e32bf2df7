"""
Dialogues: what is said to the gateway, heard from it, and when, without any input or output.

A dialogue is a generator. It yields a *step* (something to send, or a pause), is sent what was heard, and returns what
came of it. So blocking and async callers share every rule about retries, waiting and refusals, and a test can play
the gateway line by line.
"""

import json
import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from gateway.api.models import ProblemView
from gateway.client.errors import Refused
from gateway.outgoing import retry_after
from loops.errors import Rejected, Unavailable

T = TypeVar("T")

#: Answers that ask to come back: too many, or nobody there behind a proxy. Sources: RFC 6585 (429), RFC 9110 (5xx).
AGAIN = frozenset({429, 502, 503, 504})

#: The longest pause between attempts where the gateway names none, in seconds, and the first, which doubles.
LONGEST_PAUSE_S = 10.0
FIRST_PAUSE_S = 0.25

#: How long a call may take beyond what it is asked to wait, in seconds.
ANSWER_S = 20.0

_JITTER = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Send:
    """A step: send this, and hear `Reply` or `NoReply`. `headers` come beside those of the connection."""

    method: Literal["GET", "POST"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = ANSWER_S


@dataclass(frozen=True, slots=True)
class Pause:
    """A step: let so many seconds pass, and hear nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered. Names of `headers` are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoReply:
    """No answer, and why. What was sent may have arrived."""

    why: str


Step = Send | Pause
Heard = Reply | NoReply | None
Dialogue = Generator[Step, Heard, T]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on while the gateway is away, in seconds since it was first missed; `now` is monotonic."""

    seconds: float
    now: Callable[[], float]


def exchange(send: Send, patience: Patience) -> Dialogue[Any]:
    """
    Send, again where that is safe and asked for, and return the JSON of the answer.

    *send* must be safe to repeat: a GET, or a POST with an Idempotency-Key.

    Raises:
        Refused: On a 4xx, at once; but for 429.
        Unavailable: When the gateway was away for longer than *patience*, or will be.
        Rejected: If what answers is not Loopgate's API.
    """
    until: float | None = None
    attempt = 0
    while True:
        heard = yield send
        if isinstance(heard, Reply) and heard.status not in AGAIN:
            return _read(heard, send)
        pause, why = _next(heard, attempt)
        until = patience.now() + patience.seconds if until is None else until
        if patience.now() + pause > until:
            raise Unavailable(f"{send.method} {send.path}: {why}; try again later", retry_after=pause)
        yield Pause(pause)
        attempt += 1


def _next(heard: Heard, attempt: int) -> tuple[float, str]:
    """Return how long to pause after what was heard, and what to say of it."""
    # Full jitter, so that those who were cut off together do not come back together.
    pause = _JITTER.uniform(FIRST_PAUSE_S / 2, min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S))
    if not isinstance(heard, Reply):
        return pause, heard.why if heard else "no answer"
    named = retry_after(heard.headers.get("retry-after"), datetime.now(UTC))
    # What the gateway names is the least; a little more, or all would be back in the same instant.
    problem = _problem(_json(heard))
    why = f"the gateway answered {heard.status}" + (f" ({problem.error})" if problem else "")
    return (pause if named is None else named + pause), why


def _read(reply: Reply, send: Send) -> Any:
    body = _json(reply)
    if 200 <= reply.status < 300 and isinstance(body, dict):
        return body
    problem = _problem(body)
    if problem is None:
        told = f"{send.method} {send.path} was answered {reply.status}, and not by Loopgate's API"
        raise Rejected(f"{told}; check LOOPGATE_URL")
    if reply.status >= 500:
        raise Unavailable(f"{send.method} {send.path}: {problem.error} ({reply.status} {problem.code})")
    raise Refused(reply.status, problem.code, problem.error, problem.fields)


def _json(reply: Reply) -> Any:
    """Return the JSON of an answer; None where it is none."""
    try:
        return json.loads(reply.body)
    except ValueError:
        return None


def _problem(body: Any) -> ProblemView | None:
    """Return what the gateway refused with; None where somebody else did."""
    try:
        return ProblemView.model_validate(body, extra="ignore")
    except ValidationError:
        return None
