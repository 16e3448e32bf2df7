"""Guarding: the decorator that lets a function run only with what people approved."""

import inspect
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, Unpack, cast

from gateway.api.models import ApprovalView
from gateway.client.asking import Asking, Terms
from gateway.client.binding import Binding, Unfit, filled
from gateway.client.dialogue import Dialogue
from gateway.client.errors import Differs, NotRun, TimedOut
from gateway.client.loopgate import AsyncLoopgate, Loopgate
from gateway.client.verifying import check_approved, check_asked

P = ParamSpec("P")
R = TypeVar("R")

_IN_HAND: ContextVar[ApprovalView | None] = ContextVar("loopgate_approval", default=None)


def current_approval() -> ApprovalView:
    """
    Return the approval that the decorated function runs by.

    Its `approval_id` is the idempotency key to hand on to whatever the function calls. Raises LookupError elsewhere.
    """
    approval = _IN_HAND.get()
    if approval is None:
        raise LookupError("no approved function is running here")
    return approval


def requires_approval(
    *,
    title: str,
    hidden: Collection[str] = (),
    key: str | None = None,
    timeout_s: float | None = None,
    client: Loopgate | AsyncLoopgate | None = None,
    **terms: Unpack[Terms],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Let a function run only as people approve it: every call asks, waits, and runs it once, or raises.

    The call's arguments, defaults included, are what is approved, as JSON. Before the function runs, what was approved
    is held against what was asked, by digest: it may differ in what `editable` names and within its bounds, and in
    nothing else. The function gets the approved values, read by its annotations, never the objects of the call.

    A call runs its function at most once: a process that dies between the approval and the end of the function leaves
    an approval that nobody uses. With a *key* a repeated call finds the same approval, for 24 hours, and runs by it
    again: the function must then act once per `current_approval().approval_id`.

    Args:
        title: What is asked; ``{name}`` stands for an argument. `facts` and *key* take such places, too.
        hidden: Arguments that are no part of what is approved and are passed on as they are: ``self``, a connection.
        timeout_s: How long to wait; then the request is withdrawn, unless there is a *key*.
        client: By default one is made for each call, of ``LOOPGATE_URL`` and ``LOOPGATE_TOKEN``.
        terms: How people are asked; see `Terms`.

    Raises (when called):
        NotApproved: If people decided otherwise, or the request ended without them.
        NotRun: If the arguments cannot be approved, or what was approved is not what would run.
        TimedOut, Refused, Unavailable: As `Loopgate.approve` does.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator: it would run after its approval was used")
        guarded = _Guarded(Binding(function, hidden), title, key, timeout_s, terms)
        guarded.check()
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", _async(function, guarded, client))
        return _blocking(function, guarded, client)

    return decorate


def _blocking(function: Callable[P, R], guarded: "_Guarded", client: Loopgate | AsyncLoopgate | None) -> Callable[P, R]:
    if isinstance(client, AsyncLoopgate):
        raise TypeError(f"{function.__qualname__} is not async; give it a Loopgate")

    @wraps(function)
    def guard(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = guarded.binding.bound(args, kwargs)
        if client:
            approval, call = client.carry_on(guarded.approved(client.asking, bound))
        else:
            with Loopgate() as made:
                approval, call = made.carry_on(guarded.approved(made.asking, bound))
        with _in_hand(approval):
            return function(*call.args, **call.kwargs)

    return guard


def _async(
    function: Callable[..., Any], guarded: "_Guarded", client: Loopgate | AsyncLoopgate | None
) -> Callable[..., Any]:
    if isinstance(client, Loopgate):
        raise TypeError(f"{function.__qualname__} is async; give it an AsyncLoopgate")

    @wraps(function)
    async def guard(*args: Any, **kwargs: Any) -> Any:
        bound = guarded.binding.bound(args, kwargs)
        if client:
            approval, call = await client.carry_on(guarded.approved(client.asking, bound))
        else:
            async with AsyncLoopgate() as made:
                approval, call = await made.carry_on(guarded.approved(made.asking, bound))
        with _in_hand(approval):
            return await function(*call.args, **call.kwargs)

    return guard


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A function's calls, how they are asked about."""

    binding: Binding
    title: str
    key: str | None
    timeout_s: float | None
    terms: Terms

    def check(self) -> None:
        """Raise TypeError for what names an argument that is not there: now, not when somebody is to be asked."""
        for text, whose in ((self.title, "title"), (self.key or "", "key"), *self._facts()):
            self.binding.template(text, whose)
        tops = [path.partition(".")[0] for path in self.terms.get("editable", {})]
        self.binding.named(tops, "editable")
        if unseen := [name for name in tops if name not in self.binding.shown]:
            raise TypeError(f"editable names '{unseen[0]}', which is hidden")

    def approved(
        self, asking: Asking, bound: inspect.BoundArguments
    ) -> Dialogue[tuple[ApprovalView, inspect.BoundArguments]]:
        """Ask about the call, wait, and return the approval with the call that may be made."""
        parameters = self.binding.parameters(bound)
        key = filled(self.key, parameters) if self.key is not None else None
        facts = {label: filled(text, parameters) for text, label in self._facts()}
        terms: Terms = {**self.terms, "facts": facts} if facts else self.terms
        asked = yield from asking.request(filled(self.title, parameters), parameters, key=key, **terms)
        try:
            check_asked(parameters, asked)
        except NotRun:
            # Nobody shall decide on what can never run.
            if asked.status == "open":
                yield from asking.taken_back(asked.approval_id, "What is shown is not what would run")
            raise
        try:
            approval = yield from asking.awaited(asked, key, self.timeout_s)
        except TimedOut:
            if key is None:
                yield from asking.taken_back(asked.approval_id, "Whoever asked no longer waits")
            raise
        changes = check_approved(parameters, approval, self.terms.get("editable", {}))
        try:
            return approval, self.binding.run_with(bound, approval.parameters, changes)
        except Unfit as error:
            raise Differs([error.argument], str(error), approval) from error

    def _facts(self) -> list[tuple[str, str]]:
        return [(text, label) for label, text in self.terms.get("facts", {}).items()]


@contextmanager
def _in_hand(approval: ApprovalView) -> Iterator[None]:
    token = _IN_HAND.set(approval)
    try:
        yield
    finally:
        _IN_HAND.reset(token)
