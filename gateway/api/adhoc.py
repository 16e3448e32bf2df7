"""
Ad hoc approvals: humans asked without a loop file.

What a caller asks for becomes the definition of a loop of its own, ``adhoc.approval``, with the policy inline, within
what the configuration allows; from there on it is a loop like any other. Equal policies give equal definitions, so
that no caller fills the store with them.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from gateway.api.models import AskApproval
from gateway.api.problems import Problem
from loops.approvals import Fact
from loops.checking import check
from loops.definition import LoopDefinition
from loops.durations import Duration, format_duration
from loops.problems import suggestion
from loops.templates import as_text
from loops.values import Identifier, Value

#: The loop's id.
ADHOC = "adhoc.approval"

#: Facts one request may show.
FACTS_MAX = 20

#: Parameters that are shown on the card itself, and how many characters one of them may have there.
PARAMETERS_SHOWN = 10
PARAMETER_SHOWN_MAX = 300

_NAME = re.compile(r"[A-Za-z0-9_][\w-]{0,99}")


class AdhocConfig(Value):
    """
    What callers may ask for without a loop file, in ``loopgate.yaml`` under ``adhoc``.

    They are asked in one of `channels` (the first where the caller names none), and decide as members of `groups` or
    as `users` (all of them where the caller names none). A request stands for `expire_after` where the caller does not
    say, never longer than `longest`.
    """

    channels: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    groups: tuple[Identifier, ...] = ()
    users: tuple[Identifier, ...] = ()
    max_quorum: Annotated[int, Field(ge=1, le=50)] = 5
    expire_after: Duration = timedelta(days=1)
    longest: Duration = timedelta(days=7)
    editable: bool = True


def definition_for(
    asked: AskApproval, allowed: AdhocConfig | None, unmanned: Callable[[LoopDefinition], Iterable[str]]
) -> LoopDefinition:
    """
    Return the loop that asks what is *asked*.

    Args:
        allowed: What the configuration allows; None where it allows nothing.
        unmanned: Says why nobody could ever approve by a definition.

    Raises:
        Problem: 403 where nothing is allowed, 422 naming what is asked and not allowed, or could never be approved.
    """
    if allowed is None:
        told = (
            "approvals without a loop file are not allowed here; put what callers may ask under adhoc in loopgate.yaml"
        )
        raise Problem(403, "adhoc_not_allowed", told)
    if wrong := dict(_wrong(asked, allowed)):
        raise Problem(422, "bad_request", "this is more than the gateway's configuration allows", wrong)
    named = asked.approvers
    groups, users = (named.groups, named.users) if named else (allowed.groups, allowed.users)
    policy = {
        "channel": asked.channel or allowed.channels[0],
        "approvers": {"groups": list(groups), "users": list(users)},
        "quorum": asked.quorum,
        "title": "{{ data.title }}",
        "facts": _shown(asked),
        "editable": {f"parameters.{path}": dict(shape) for path, shape in asked.editable.items()},
        "risk": asked.risk,
        "reason": {"approve": "optional", "reject": "optional"},
        "expireAfter": format_duration(asked.expires_after or min(allowed.expire_after, allowed.longest)),
        "onExpiry": "expire",
    }
    checked = check(_loop(policy))
    if checked.definition is None:
        fields = {_as_asked(problem.path): problem.message for problem in checked.problems}
        raise Problem(422, "bad_request", "this cannot be asked", fields)
    if objections := list(unmanned(checked.definition)):
        raise Problem(422, "unmanned", "nobody could approve this", {"approvers": "; ".join(objections)})
    return checked.definition


def data_of(asked: AskApproval) -> dict[str, Any]:
    """Return what the loop is started with. Texts go in as data: nothing a caller writes is a template."""
    facts = {f"f{index}": value for index, value in enumerate(asked.facts.values())}
    return {"title": asked.title, "facts": facts, "parameters": dict(asked.parameters)}


def asked_parameters(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters in what an ad hoc loop was started with, edits included."""
    return dict(data["parameters"])


def asked_facts(data: Mapping[str, Any], facts: Sequence[Fact]) -> dict[str, str]:
    """Return those of the *facts* on the card that the caller gave, out of what its ad hoc loop was started with."""
    return {fact.label: fact.value for fact in facts[: len(data["facts"])]}


def _shown(asked: AskApproval) -> dict[str, str]:
    """Return what the card shows, as templates: the caller's facts, then short parameters. All are under Details."""
    facts = {label: f"{{{{ data.facts.f{index} }}}}" for index, label in enumerate(asked.facts)}
    short = [
        name
        for name, value in asked.parameters.items()
        if _NAME.fullmatch(name) and name not in facts and len(as_text(value)) <= PARAMETER_SHOWN_MAX
    ]
    return facts | {name: f"{{{{ data.parameters.{name} }}}}" for name in short[:PARAMETERS_SHOWN]}


def _wrong(asked: AskApproval, allowed: AdhocConfig) -> Iterable[tuple[str, str]]:
    if asked.channel and asked.channel not in allowed.channels:
        yield "channel", _not_among(asked.channel, allowed.channels)
    if asked.approvers:
        for field, names, known in (
            ("approvers.groups", asked.approvers.groups, allowed.groups),
            ("approvers.users", asked.approvers.users, allowed.users),
        ):
            for name in names:
                if name not in known:
                    yield field, _not_among(name, known)
    if asked.quorum > allowed.max_quorum:
        yield "quorum", f"must be at most {allowed.max_quorum}"
    if asked.expires_after and asked.expires_after > allowed.longest:
        yield "expiresAfter", f"must be at most {format_duration(allowed.longest)}"
    if asked.editable and not allowed.editable:
        yield "editable", "must be left out: the gateway's configuration allows no edits here"
    if len(asked.facts) > FACTS_MAX:
        yield "facts", f"must be at most {FACTS_MAX}"


def _not_among(name: str, known: Sequence[str]) -> str:
    return f"'{name}' is not among {', '.join(known) or 'what is allowed'}{suggestion(name, known)}"


def _as_asked(path: str) -> str:
    """Return a path into the definition as the caller wrote it."""
    _, found, rest = path.partition("approval.")
    return rest.replace("editable.parameters.", "editable.") if found else path


def _loop(policy: Mapping[str, Any]) -> dict[str, Any]:
    decided_by_a_person = [{"id": "human-only", "severity": "hard", "evaluatedBy": "runtime"}]
    pending = "PENDING_HUMAN_APPROVAL"
    return {
        "id": ADHOC,
        "version": "1.0.0",
        "name": "Approval",
        "description": "Asked through the API, without a loop file.",
        "initialState": pending,
        "states": [
            {"id": pending, "label": "Waiting for approval", "approval": dict(policy)},
            {"id": "APPROVED", "label": "Approved", "isTerminal": True},
            {"id": "REJECTED", "label": "Rejected", "isTerminal": True},
            {"id": "EXPIRED", "label": "Nobody answered", "isTerminal": True},
        ],
        "transitions": [
            {"id": "approve", "label": "Approve", "from": pending, "to": "APPROVED", "actors": ["human"],
             "guards": decided_by_a_person},
            {"id": "reject", "label": "Reject", "from": pending, "to": "REJECTED", "actors": ["human"],
             "guards": decided_by_a_person},
            {"id": "expire", "from": pending, "to": "EXPIRED", "actors": ["system"]},
        ],
    }  # fmt: skip
