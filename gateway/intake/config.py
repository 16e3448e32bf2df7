"""
A source as it stands in ``loopgate.yaml``: who sends, how that is verified, and what a delivery means.

::

    sources:
      change-desk:
        verifier: standard-webhooks
        secretEnv: CHANGE_DESK_SECRET
        actor: {serviceId: change-desk, onBehalfOf: data.requestedBy}
        rules:
          - when: {type: change.requested}
            start:
              loop: infrastructure.change
              aggregateId: "{{ body.data.changeId }}"
              data:
                service: data.service
                title: "Roll out {{ body.data.service }}"
                kind: {const: rollout}
                replicas: {path: data.replicas, as: integer, default: 1}
                isLarge: {expr: "size(body.data.hosts) > 10"}
          - when: {type: change.finished}
            signal: {name: rollout_done, aggregateId: "{{ body.data.changeId }}", evidence: {"note?": data.note}}
          - when: 'body.type == "change.dropped" && has(body.data.changeId)'
            cancel: {aggregateId: "{{ body.data.changeId }}", reason: "Dropped by {{ body.data.requestedBy }}"}
      deploys:
        preset: github-deployment-protection-rule     # verifier, actor, filter and rules: gateway/intake/presets
        secretEnv: GITHUB_WEBHOOK_SECRET

A *path* is dotted and counts from the payload, or from ``body`` or ``headers`` where it begins with one of those. A
*value* is a text with ``{{ body.x }}`` holes, a path, ``{const: anything}``, or a path or expression with what stands
in for it where it is missing (``default``) and what it is read as (``as``). Expressions are CEL, like guards', over
``body`` and ``headers``. What a value names must be there and not null, or the delivery is refused with 422; a field
whose name ends in ``?`` is left out instead.

Headers that the scheme does not sign (`gateway.intake.schemes`) can be changed by whoever carries the delivery. Take
what counts from the body.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.intake.schemes import SIGNED_IDS, BearerScheme, Scheme
from loops.canonical import NotCanonical, canonical_json
from loops.evidence import ADAPTER_KEYS, RESERVED_KEYS
from loops.expressions import ExpressionError, compile_expression
from loops.values import Identifier, Value

#: What a path or template may begin with.
ROOTS = ("body", "headers")

_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*")
_HOLE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def holes(template: str) -> list[str]:
    """Return the paths in the holes of *template*, in order."""
    return [inner.strip() for inner in _HOLE.findall(template)]


def rooted(path: str) -> str:
    """Return *path* from its root: one that begins with neither ``body`` nor ``headers`` counts from the payload."""
    return path if path.split(".", maxsplit=1)[0] in ROOTS else f"body.{path}"


def _a_path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} is not a dotted path such as data.changeId")
    return text


def _a_template(text: str) -> str:
    for path in holes(text):
        if not _PATH.fullmatch(path) or path.split(".")[0] not in ROOTS or "." not in path:
            raise ValueError(f"{{{{ {path} }}}} must name something under body or headers, such as body.data.changeId")
    rest = _HOLE.sub("", text)
    if "{{" in rest or "}}" in rest:
        raise ValueError(f"{text!r} opens or closes a hole without the other end")
    return text


def _a_value(text: str) -> str:
    return _a_template(text) if "{{" in text or "}}" in text else _a_path(text)


def _an_expression(text: str) -> str:
    try:
        compile_expression(text, ROOTS)
    except ExpressionError as error:
        raise ValueError(f"not an expression: {error}") from error
    return text


Path = Annotated[str, AfterValidator(_a_path)]
Expr = Annotated[str, Field(min_length=1), AfterValidator(_an_expression)]
Template = Annotated[str, Field(min_length=1), AfterValidator(_a_template)]


def _is_json(value: Any) -> Any:
    try:
        canonical_json(value)
    except NotCanonical as error:
        raise ValueError(f"not JSON: {error}") from error
    return value


Json = Annotated[Any, AfterValidator(_is_json)]


class Const(Value):
    """A value that is the same for every delivery."""

    const: Json


class Taken(Value):
    """
    A value with care: from `path` or `expr`, or `default` where that is missing or null, read `as_` a type.

    Text is read as a number or boolean only where the whole of it says one: ``"12"``, ``"true"``.
    """

    path: Path | None = None
    expr: Expr | None = None
    default: Json = None
    as_: Literal["text", "integer", "number", "boolean"] | None = Field(default=None, alias="as")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.path is None) == (self.expr is None):
            raise ValueError("a value is taken from either path or expr")
        return self


Mapped = Annotated[str, AfterValidator(_a_value)] | Const | Taken

EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
#: Parts of an idempotency key: without the colon that parts them.
KEY_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

KeyPart = Annotated[str, Field(pattern=f"^{KEY_PART.pattern}$")]


class SourceActor(Value):
    """As whom a source acts. `on_behalf_of` is the path to the person behind the delivery, who may not approve it."""

    service_id: Identifier
    display_name: str | None = None
    on_behalf_of: Path | None = None


class StartRule(Value):
    """
    Start `loop` on `aggregate_id`, with the fields of `data`, or with the object at the path `whole`.

    Without a `loop` of its own it starts the source's.
    """

    loop: Identifier | None = None
    aggregate_id: Template
    data: Mapping[str, Mapped] = Field(default_factory=dict)
    whole: Path | None = None
    correlation_id: Template | None = None

    @model_validator(mode="after")
    def _data_or_whole(self) -> Self:
        if self.data and self.whole:
            raise ValueError("name either data or whole, not both")
        return self


class SignalRule(Value):
    """Send the signal `name` to the instance on `aggregate_id`."""

    name: Identifier
    aggregate_id: Template
    evidence: Mapping[str, Mapped] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _no_reserved_evidence(self) -> Self:
        taken = {key.removesuffix("?") for key in self.evidence} & (RESERVED_KEYS | ADAPTER_KEYS)
        if taken:
            raise ValueError(f"evidence {', '.join(sorted(taken))} is not a source's to give; name it differently")
        return self


class CancelRule(Value):
    """Cancel the instance on `aggregate_id`, if one is active."""

    aggregate_id: Template
    reason: Template | None = None


class Rule(Value):
    """What a delivery means whose payload has every value of `when`, or of which it holds: one command."""

    when: Mapping[Path, Json] | Expr = Field(default_factory=dict)
    start: StartRule | None = None
    signal: SignalRule | None = None
    cancel: CancelRule | None = None

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if sum(meaning is not None for meaning in (self.start, self.signal, self.cancel)) != 1:
            raise ValueError("a rule has either start, signal or cancel")
        return self


class SourceConfig(Value):
    """
    One source.

    What a `preset` says counts where the source itself says nothing; `gateway.intake.presets.upon_preset` puts it there
    before the file is read as this. `tolerance_s` is how far a signed time-stamp may
    be from now, at most the 300 s that Standard Webhooks and its library set. Several `secret_envs` are for rotation:
    any of them verifies. `delivery_id` tells deliveries apart where the vendor's scheme does not say how; without it
    the body itself does. What `filter` does not hold of is ignored; of what is left, the first rule that fits counts.
    """

    preset: str | None = None
    verifier: Scheme
    secret_env: EnvName | None = None
    secret_envs: tuple[EnvName, ...] = ()
    tolerance_s: Annotated[int, Field(gt=0, le=300)] = 300
    body_limit: Annotated[int, Field(gt=0, le=4 * 1024 * 1024)] = 262_144
    content_types: Annotated[tuple[Literal["json", "form"], ...], Field(min_length=1)] = ("json",)
    tenant: KeyPart = "default"
    actor: SourceActor
    delivery_id: Template | None = None
    filter: Expr | None = None
    loop: Identifier | None = None
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_a_loop_to_start(self) -> Self:
        for index, rule in enumerate(self.rules):
            if rule.start and not (rule.start.loop or self.loop):
                raise ValueError(f"rules.{index}.start: name the loop to start, here or under the source's loop")
        return self

    @model_validator(mode="after")
    def _delivery_id_is_signed(self) -> Self:
        if self.delivery_id is None:
            return self
        if self.verifier == "standard-webhooks":
            raise ValueError("deliveryId: Standard Webhooks sign one of their own, webhook-id")
        is_signed = self.verifier != "bearer" and not isinstance(self.verifier, BearerScheme)
        paths = holes(self.delivery_id)
        if not paths or (is_signed and any(path.startswith("headers.") for path in paths)):
            raise ValueError("deliveryId: must come from the body, which is signed, and name something in it")
        return self

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if not list(self.secret_names()):
            raise ValueError("name the environment variable of the signing secret under secretEnv or secretEnvs")
        return self

    @property
    def signed_id(self) -> str | None:
        """The template of a delivery's id in what is signed; None where the body itself is the id."""
        vendors = SIGNED_IDS.get(self.verifier) if isinstance(self.verifier, str) else None
        return self.delivery_id or vendors

    def secret_names(self) -> Iterator[str]:
        """Yield the environment variables that hold a signing secret of this source."""
        if self.secret_env:
            yield self.secret_env
        yield from self.secret_envs
