"""The mapping: what a verified delivery means by its source's rules. Pure; nothing is sent, saved or looked up."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from gateway.intake.coercion import Unfit, read_as
from gateway.intake.config import ROOTS, Const, Mapped, Rule, SourceConfig, Taken, holes, rooted
from loops.actors import Automation, service
from loops.canonical import NotCanonical, canonical_json
from loops.expressions import ExpressionError, MissingKey, compile_expression
from loops.templates import fill, render
from loops.values import dotted

#: Characters an id made from a delivery may have (`loops.values.Identifier`).
ID_MAX = 200

#: Characters of a cancellation's reason.
REASON_MAX = 500

# What a field that is left out comes to: null is a value of its own.
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class StartCommand:
    """Start a loop."""

    loop_id: str
    aggregate_id: str
    data: Mapping[str, Any]
    actor: Automation
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class SignalCommand:
    """Send a signal."""

    signal: str
    aggregate_id: str
    evidence: Mapping[str, Any]
    actor: Automation


@dataclass(frozen=True, slots=True)
class CancelCommand:
    """Cancel a loop."""

    aggregate_id: str
    reason: str | None
    actor: Automation


Command = StartCommand | SignalCommand | CancelCommand


@dataclass(frozen=True, slots=True)
class Ignored:
    """The source's filter does not hold of this delivery, or no rule fits; that is no mistake of the sender."""

    reason: str


@dataclass(frozen=True, slots=True)
class Problems:
    """A rule fits, but the delivery lacks what it needs: the reason by path, as the sender would write it."""

    fields: Mapping[str, str]


def delivery_id(
    source: SourceConfig, scheme_id: str | None, body: Mapping[str, Any], headers: Mapping[str, str], raw: bytes
) -> str | Problems:
    """
    Return what tells this delivery from others of *source*: *scheme_id* where the sender signs one.

    Else what the source or its vendor's scheme takes from the *body*, else the digest of its *raw* bytes: what is
    signed is all of it, so that nobody who repeats a delivery can make it look like another.
    """
    if scheme_id is not None:
        return scheme_id
    template = source.signed_id
    if template is None:
        return "sha256-" + hashlib.sha256(raw).hexdigest()
    reading = _Reading({"body": body, "headers": headers})
    made = reading.identifier(template)
    return Problems(reading.problems) if reading.problems else made


def interpret(
    source: SourceConfig, body: Mapping[str, Any], headers: Mapping[str, str]
) -> Command | Ignored | Problems:
    """
    Return what the delivery of *body* under *headers* (names in lower case) asks for: the first rule that fits says it.

    Equal arguments give equal results, so a repeated delivery asks for the same again.
    """
    scope = {"body": body, "headers": headers}
    reading = _Reading(scope)
    if source.filter and not reading.holds(source.filter, "filter"):
        return Problems(reading.problems) if reading.problems else Ignored("filter")
    rule = next((rule for index, rule in enumerate(source.rules) if _fits(rule, index, scope, reading)), None)
    if rule is None:
        return Problems(reading.problems) if reading.problems else Ignored("no rule of this source fits the delivery")
    command = _command(rule, source, reading)
    return Problems(reading.problems) if reading.problems else command


def _command(rule: Rule, source: SourceConfig, reading: "_Reading") -> Command:
    actor = service(
        source.actor.service_id,
        source.actor.display_name,
        on_behalf_of=reading.person(source.actor.on_behalf_of) if source.actor.on_behalf_of else None,
    )
    if rule.signal is not None:
        return SignalCommand(
            signal=rule.signal.name,
            aggregate_id=reading.identifier(rule.signal.aggregate_id),
            evidence=reading.fields(rule.signal.evidence),
            actor=actor,
        )
    if rule.cancel is not None:
        return CancelCommand(
            aggregate_id=reading.identifier(rule.cancel.aggregate_id),
            reason=reading.text(rule.cancel.reason) if rule.cancel.reason else None,
            actor=actor,
        )
    start, loop = rule.start, rule.start.loop or source.loop if rule.start else None
    assert start is not None, "a rule has either start, signal or cancel"  # noqa: S101 - for the type checker
    assert loop is not None, "a source has a loop where its rules have none"  # noqa: S101 - for the type checker
    return StartCommand(
        loop_id=loop,
        aggregate_id=reading.identifier(start.aggregate_id),
        data=reading.whole(start.whole) if start.whole else reading.fields(start.data),
        actor=actor,
        correlation_id=reading.identifier(start.correlation_id) if start.correlation_id else None,
    )


def _fits(rule: Rule, index: int, scope: Mapping[str, Any], reading: "_Reading") -> bool:
    if isinstance(rule.when, str):
        return not reading.problems and reading.holds(rule.when, f"rules.{index}.when")
    # Canonical bytes, because 1 == True in Python and not in JSON.
    return all(
        canonical_json(dotted(scope, rooted(path))) == canonical_json(wanted) for path, wanted in rule.when.items()
    )


class _Reading:
    """Takes values out of one delivery and gathers what was wrong, so that a sender is told everything at once."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._scope = scope
        self.problems: dict[str, str] = {}

    def identifier(self, template: str) -> str:
        """Return the id *template* makes: every hole text or a whole number, the result printable and not too long."""
        paths = holes(template)
        values = [self._required(path) for path in paths]
        for path, value in zip(paths, values, strict=True):
            if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
                self._wrong(path, "must be text or a whole number, because it names something")
            elif isinstance(value, str) and not value.strip():
                self._wrong(path, "must not be blank")
        made = render(template, self._scope).strip()
        if not made.isprintable() or not 0 < len(made) <= ID_MAX:
            self._wrong(paths[0] if paths else "body", f"must make an id of 1 to {ID_MAX} printable characters")
        return made

    def holds(self, expression: str, place: str) -> bool:
        """Return whether *expression* holds; what has no truth value does not, and is told under *place*."""
        try:
            return compile_expression(expression, ROOTS).holds(self._scope)
        except ExpressionError as error:
            self._wrong(place, f"cannot be judged on this delivery: {error}")
            return False

    def text(self, template: str) -> str:
        """Return the text *template* makes, in so many characters as a reason may have."""
        for path in holes(template):
            self._required(path)
        return render(template, self._scope)[:REASON_MAX]

    def person(self, path: str) -> str:
        """Return the id of the person at *path*. Without one, nobody would be kept from approving their own ask."""
        value = self._required(rooted(path))
        is_name = isinstance(value, str) and bool(value.strip()) and len(value) <= ID_MAX
        # An invisible character would make somebody else of a person who may not approve this.
        if value is not None and not (is_name and str(value).strip().isprintable()):
            self._wrong(rooted(path), f"must name a person in 1 to {ID_MAX} printable characters")
        return str(value).strip()[:ID_MAX] or "-"

    def whole(self, path: str) -> Mapping[str, Any]:
        """Return the object at *path*."""
        value = self._required(rooted(path))
        if value is not None and not isinstance(value, Mapping):
            self._wrong(rooted(path), "must be an object")
        return value if isinstance(value, Mapping) else {}

    def fields(self, mapped: Mapping[str, Mapped]) -> dict[str, Any]:
        """Return the object *mapped* describes; a field named ``x?`` is left out where its value is not there."""
        out: dict[str, Any] = {}
        for name, value in mapped.items():
            found = self._value(name, value, may_be_missing=name.endswith("?"))
            if found is not _ABSENT:
                out[name.removesuffix("?")] = found
        return out

    def _value(self, name: str, value: Mapped, *, may_be_missing: bool) -> Any:
        match value:
            case Const():
                return value.const
            case Taken():
                return self._taken(name, value, may_be_missing=may_be_missing)
            case str():
                return self._named(value, may_be_missing=may_be_missing)
            case _:
                assert_never(value)

    def _named(self, value: str, *, may_be_missing: bool) -> Any:
        paths = holes(value) or [rooted(value)]
        if may_be_missing and any(dotted(self._scope, path) is None for path in paths):
            return _ABSENT
        for path in paths:
            self._required(path)
        template = value if holes(value) else f"{{{{ {paths[0]} }}}}"
        return fill(template, self._scope)

    def _taken(self, name: str, value: Taken, *, may_be_missing: bool) -> Any:
        where = rooted(value.path) if value.path else f"{name} (expr)"
        found = dotted(self._scope, where) if value.path else self._computed(value.expr or "", where)
        if found is None:
            found = value.default
        if found is None and may_be_missing:
            return _ABSENT
        if found is None:
            return self._required(where)
        try:
            return read_as(value.as_, found) if value.as_ else found
        except Unfit as error:
            self._wrong(where, str(error))
            return None

    def _computed(self, expression: str, where: str) -> Any:
        try:
            found = compile_expression(expression, ROOTS).value(self._scope)
            canonical_json(found)
        except MissingKey:
            return None
        except ExpressionError as error:
            self._wrong(where, f"cannot be computed from this delivery: {error}")
        except NotCanonical as error:
            self._wrong(where, f"comes to no JSON: {error}; write string(...) around it")
        else:
            return found
        return None

    def _required(self, path: str) -> Any:
        value = dotted(self._scope, path)
        if value is None:
            self._wrong(path, "is missing, and the source's rule needs it")
        return value

    def _wrong(self, path: str, reason: str) -> None:
        self.problems.setdefault(path.removeprefix("body."), reason)
