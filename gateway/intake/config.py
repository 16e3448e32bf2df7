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
              data: {service: data.service, title: "Roll out {{ body.data.service }}", kind: {const: rollout}}
          - when: {type: change.finished}
            signal: {name: rollout_done, aggregateId: "{{ body.data.changeId }}", evidence: {"note?": data.note}}

A *path* is dotted and counts from the payload, or from ``body`` or ``headers`` where it begins with one of those. A
*value* is a text with ``{{ body.x }}`` holes, a path, or ``{const: anything}``. What a value names must be there and
not null, or the delivery is refused with 422; a field whose name ends in ``?`` is left out instead.

Headers other than webhook-id and webhook-timestamp are not covered by the signature: whoever carries the delivery can
change them. Take what counts from the body.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from loops.canonical import NotCanonical, canonical_json
from loops.evidence import ADAPTER_KEYS, RESERVED_KEYS
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


Path = Annotated[str, AfterValidator(_a_path)]
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


Mapped = Annotated[str, AfterValidator(_a_value)] | Const

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
    """Start `loop` on `aggregate_id`, with the fields of `data`, or with the object at the path `whole`."""

    loop: Identifier
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


class Rule(Value):
    """What a delivery means whose payload has every value of `when`: one start, or one signal."""

    when: Mapping[Path, Json] = Field(default_factory=dict)
    start: StartRule | None = None
    signal: SignalRule | None = None

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if (self.start is None) == (self.signal is None):
            raise ValueError("a rule has either start or signal")
        return self


class SourceConfig(Value):
    """
    One source.

    `tolerance_s` is how far a delivery's time-stamp may be from now, at most the 300 s that Standard Webhooks and its
    library set. Several `secret_envs` are for rotation: any of them verifies. The first rule that fits counts.
    """

    verifier: Literal["standard-webhooks"]
    secret_env: EnvName | None = None
    secret_envs: tuple[EnvName, ...] = ()
    tolerance_s: Annotated[int, Field(gt=0, le=300)] = 300
    body_limit: Annotated[int, Field(gt=0, le=4 * 1024 * 1024)] = 262_144
    tenant: KeyPart = "default"
    actor: SourceActor
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if not list(self.secret_names()):
            raise ValueError("name the environment variable of the signing secret under secretEnv or secretEnvs")
        return self

    def secret_names(self) -> Iterator[str]:
        """Yield the environment variables that hold a signing secret of this source."""
        if self.secret_env:
            yield self.secret_env
        yield from self.secret_envs
