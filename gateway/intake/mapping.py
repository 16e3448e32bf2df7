"""The mapping: what a verified delivery means by its source's rules. Pure; nothing is sent, saved or looked up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.intake.config import Const, Rule, SourceConfig, holes, rooted
from loops.actors import Automation, service
from loops.canonical import canonical_json
from loops.templates import fill, render
from loops.values import dotted

#: Characters an id made from a delivery may have (`loops.values.Identifier`).
ID_MAX = 200


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
class Ignored:
    """No rule of the source fits this delivery; that is no mistake of the sender."""


@dataclass(frozen=True, slots=True)
class Problems:
    """A rule fits, but the delivery lacks what it needs: the reason by path, as the sender would write it."""

    fields: Mapping[str, str]


def interpret(
    source: SourceConfig, body: Mapping[str, Any], headers: Mapping[str, str]
) -> StartCommand | SignalCommand | Ignored | Problems:
    """
    Return what the delivery of *body* under *headers* (names in lower case) asks for: the first rule that fits says it.

    Equal arguments give equal results, so a repeated delivery asks for the same again.
    """
    scope = {"body": body, "headers": headers}
    rule = next((rule for rule in source.rules if _fits(rule, scope)), None)
    if rule is None:
        return Ignored()
    reading = _Reading(scope)
    command = _command(rule, source, reading)
    return Problems(reading.problems) if reading.problems else command


def _command(rule: Rule, source: SourceConfig, reading: "_Reading") -> StartCommand | SignalCommand:
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
    assert rule.start is not None, "a rule has either start or signal"  # noqa: S101 - for the type checker
    start = rule.start
    return StartCommand(
        loop_id=start.loop,
        aggregate_id=reading.identifier(start.aggregate_id),
        data=reading.whole(start.whole) if start.whole else reading.fields(start.data),
        actor=actor,
        correlation_id=reading.identifier(start.correlation_id) if start.correlation_id else None,
    )


def _fits(rule: Rule, scope: Mapping[str, Any]) -> bool:
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

    def person(self, path: str) -> str:
        """Return the id of the person at *path*. Without one, nobody would be kept from approving their own ask."""
        value = self._required(rooted(path))
        if value is not None and (not isinstance(value, str) or not value.strip() or len(value) > ID_MAX):
            self._wrong(rooted(path), f"must name a person in 1 to {ID_MAX} characters")
        return str(value).strip()[:ID_MAX] or "-"

    def whole(self, path: str) -> Mapping[str, Any]:
        """Return the object at *path*."""
        value = self._required(rooted(path))
        if value is not None and not isinstance(value, Mapping):
            self._wrong(rooted(path), "must be an object")
        return value if isinstance(value, Mapping) else {}

    def fields(self, mapped: Mapping[str, str | Const]) -> dict[str, Any]:
        """Return the object *mapped* describes; a field named ``x?`` is left out where its value is not there."""
        out: dict[str, Any] = {}
        for name, value in mapped.items():
            if isinstance(value, Const):
                out[name.removesuffix("?")] = value.const
                continue
            paths = holes(value) or [rooted(value)]
            if name.endswith("?") and any(dotted(self._scope, path) is None for path in paths):
                continue
            for path in paths:
                self._required(path)
            template = value if holes(value) else f"{{{{ {paths[0]} }}}}"
            out[name.removesuffix("?")] = fill(template, self._scope)
        return out

    def _required(self, path: str) -> Any:
        value = dotted(self._scope, path)
        if value is None:
            self._wrong(path, "is missing, and the source's rule needs it")
        return value

    def _wrong(self, path: str, reason: str) -> None:
        self.problems.setdefault(path.removeprefix("body."), reason)
