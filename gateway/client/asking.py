"""Asking: every call of the API a client makes, as dialogues."""

import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from gateway.api.models import ApprovalView, LoopPage
from gateway.client.dialogue import ANSWER_S, Dialogue, Patience, Pause, Send, exchange
from gateway.client.errors import NotApproved, Refused, TimedOut
from loops.canonical import canonical_json
from loops.durations import format_duration
from loops.errors import Rejected
from loops.values import Value

V = TypeVar("V", bound=Value)

#: Seconds of one long poll; the gateway takes 60. Proxies cut off what says nothing for a minute.
POLL_S = 30

#: The pause after a long poll that came back early with nothing new, so that no proxy's cache makes us spin.
_EARLY_S = 1.0

#: Seconds for the one attempt to take back what nobody waits for any more.
_LAST_WORD_S = 5.0

#: What a key may be: visible ASCII, short enough for the id of what is asked, which it becomes a part of.
_KEY_MAX = 128
_KEY = re.compile(rf"[\x21-\x7e]{{1,{_KEY_MAX}}}")

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Approvers(TypedDict, total=False):
    """Who may decide: members of `groups`, and `users` by id. What is left out is nobody."""

    groups: Sequence[str]
    users: Sequence[str]


class Terms(TypedDict, total=False):
    """
    How people are asked, as API v1 takes it; what is left out is up to the gateway's configuration.

    `facts` are shown beside the parameters. `editable` names what approvers may change, by dotted path, with the rules
    of loop files: ``{"replicas": {"type": "integer", "maximum": 20}}``. `on_behalf_of` is the person behind the caller,
    who may not approve. `actor` is the ai-agent that asks through this key:
    ``{"id": ..., "type": "ai-agent", "modelId": ..., "provider": ...}``.
    """

    facts: Mapping[str, str]
    channel: str
    approvers: Approvers
    quorum: int
    editable: Mapping[str, Mapping[str, Any]]
    risk: Literal["low", "high"]
    expires_after: timedelta | str
    aggregate_id: str
    correlation_id: str
    on_behalf_of: str
    actor: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asking:
    """The calls. Each public method is a dialogue; the clients have it as a method that carries the dialogue on."""

    patience: Patience

    def approve(
        self,
        title: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        key: str | None = None,
        **terms: Unpack[Terms],
    ) -> Dialogue[ApprovalView]:
        """
        Ask people, wait for them, and return the approved request: do what its `parameters` say, edits included.

        A caller that is interrupted takes the request back, unless it asked under a *key*: nobody else could find it.

        Args:
            title: What is asked, in at most 150 characters.
            parameters: What is approved, as JSON; shown to approvers and covered by the digest.
            timeout_s: How long to wait; without it until the request is decided or expires.
            key: The same call under the same key asks once, for 24 hours, and finds what was asked before. Without
                it every call asks anew.
            terms: How people are asked; see `Terms`.

        Raises:
            NotApproved: If people decided otherwise, or the request ended without them.
            TimedOut: If nobody has decided; the request stays open, and may be waited for again.
            Refused: If the gateway does not let this be asked.
            Unavailable: If the gateway was away for too long.
            NotCanonical: If *parameters* are not JSON; nothing was sent.
        """
        asked = yield from self.request(title, parameters, key=key, **terms)
        approval = yield from self.awaited(asked, key, timeout_s)
        if approval.status != "approved":
            raise NotApproved(approval)
        return approval

    def request(
        self,
        title: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        **terms: Unpack[Terms],
    ) -> Dialogue[ApprovalView]:
        """Ask people, and return the open request at once. See `approve`."""
        said = {to_camel(name): value for name, value in terms.items() if value is not None}
        if isinstance(span := said.get("expiresAfter"), timedelta):
            said["expiresAfter"] = format_duration(span)
        send = _post("/approvals", said | {"title": title, "parameters": parameters or {}}, key)
        return (yield from self._answered(send, ApprovalView))

    def get(self, approval_id: str) -> Dialogue[ApprovalView]:
        """Return a request as it stands. Raises Refused (``unknown_request``) where there is none."""
        return (yield from self._looked(approval_id))

    def wait(self, approval_id: str, timeout_s: float | None = None) -> Dialogue[ApprovalView]:
        """Return a request once it is closed, however it ended. Raises TimedOut if it is open after *timeout_s*."""
        now = self.patience.now
        end = math.inf if timeout_s is None else now() + timeout_s
        while True:
            began = now()
            poll_s = max(0, min(POLL_S, math.ceil(min(end - began, POLL_S))))
            approval = yield from self._looked(approval_id, poll_s)
            if approval.status != "open":
                return approval
            if now() >= end:
                raise TimedOut(approval)
            if now() - began < poll_s / 2:
                yield Pause(max(0.0, min(_EARLY_S, end - now())))

    def withdraw(self, approval_id: str, reason: str | None = None) -> Dialogue[ApprovalView]:
        """Take a request back that this key's service made. Raises Refused where it is closed or another's."""
        send = _post(f"{_path(approval_id)}/withdraw", {"reason": reason} if reason else {}, None)
        return (yield from self._answered(send, ApprovalView))

    def loops(
        self,
        *,
        loop_id: str | None = None,
        state: str | None = None,
        status: str | None = None,
        waiting_for: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Dialogue[LoopPage]:
        """Return a page of loop instances, newest first; go on with its `next_cursor`. By default those not over."""
        which = {"loopId": loop_id, "state": state, "status": status, "waitingFor": waiting_for, "cursor": cursor}
        query = {name: value for name, value in which.items() if value is not None}
        return (yield from self._answered(Send("GET", "/loops", query | {"limit": str(limit)}), LoopPage))

    def awaited(self, asked: ApprovalView, key: str | None, timeout_s: float | None) -> Dialogue[ApprovalView]:
        """Wait for what was *asked*; interrupted, take it back where it has no *key*."""
        if asked.status != "open":
            return asked
        try:
            return (yield from self.wait(asked.approval_id, timeout_s))
        except (GeneratorExit, TimedOut):
            raise
        except BaseException:
            if key is None:
                yield from self.taken_back(asked.approval_id, "Whoever asked no longer waits")
            raise

    def taken_back(self, approval_id: str, reason: str) -> Dialogue[None]:
        """Withdraw in one attempt, whatever comes of it: a word on the way out."""
        yield _post(f"{_path(approval_id)}/withdraw", {"reason": reason}, None, timeout_s=_LAST_WORD_S)

    def _looked(self, approval_id: str, poll_s: int = 0) -> Dialogue[ApprovalView]:
        """Look, or look as soon as there is a decision, at most *poll_s* from now."""
        query = {"wait": str(poll_s)} if poll_s else {}
        send = Send("GET", _path(approval_id), query, timeout_s=ANSWER_S + poll_s)
        return (yield from self._answered(send, ApprovalView))

    def _answered(self, send: Send, kind: type[V]) -> Dialogue[V]:
        body = yield from exchange(send, self.patience)
        try:
            # A gateway newer than this client may say more.
            return kind.model_validate(body, extra="ignore")
        except ValidationError:
            told = f"{send.method} {send.path} was answered with what is no {kind.__name__}"
            raise Rejected(f"{told}; check LOOPGATE_URL, and that client and gateway are of one release") from None


def _post(path: str, body: Mapping[str, Any], key: str | None, *, timeout_s: float = ANSWER_S) -> Send:
    if key is not None and not _KEY.fullmatch(key):
        raise Rejected(f"{key[:40]!r} is not a key: it must have 1 to {_KEY_MAX} visible ASCII characters")
    # One key for one logical call: however often it is sent, it counts once.
    headers = {"idempotency-key": key or secrets.token_hex(16), "content-type": "application/json"}
    return Send("POST", path, body=canonical_json(body), headers=headers, timeout_s=timeout_s)


def _path(approval_id: str) -> str:
    # What is no id names no request, and must not become another path.
    if not _ID.fullmatch(approval_id):
        raise Refused(404, "unknown_request", f"there is no approval request {approval_id[:40]!r}")
    return f"/approvals/{approval_id}"
