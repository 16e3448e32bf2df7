"""Actors: who asks. Nothing happens anonymously, so every actor names itself in the fields its type requires."""

import unicodedata
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter, field_validator

from loops.canonical import canonical_json, canonical_text
from loops.values import Identifier, Value

ActorType = Literal["human", "automation", "ai-agent", "system"]


#: Bytes the canonical JSON of an actor's metadata may have: it stands in every event of theirs.
METADATA_MAX = 16 * 1024

#: What actors are written as, by their fields: so many of so many characters, then all are forgotten.
_WRITTEN: dict[tuple[tuple[str, Any], ...], str] = {}
_WRITTEN_MAX, _WRITTEN_LENGTH = 4_096, 1_000

DisplayName = Annotated[str, StringConstraints(max_length=200)]


class _Actor(Value):
    id: Identifier
    display_name: DisplayName | None = None
    metadata: dict[str, Any] | None = None

    @field_validator("metadata")
    @classmethod
    def _fits_the_ledger(cls, metadata: dict[str, Any] | None) -> dict[str, Any] | None:
        if metadata is not None and len(canonical_json(metadata)) > METADATA_MAX:
            raise ValueError(f"an actor's metadata may have {METADATA_MAX} bytes of canonical JSON")
        return metadata

    @cached_property
    def canonical(self) -> str:
        """The canonical JSON (RFC 8785), remembered: the same people and services act again and again."""
        if self.metadata is not None:
            return canonical_text(self.as_json())
        fields = tuple(self.__dict__.items())
        text = _WRITTEN.get(fields)
        if text is None:
            text = canonical_text(self.as_json())
            if len(_WRITTEN) >= _WRITTEN_MAX:
                _WRITTEN.clear()
            if len(text) <= _WRITTEN_LENGTH:
                _WRITTEN[fields] = text
        return text

    @property
    def name(self) -> str:
        """What people read: the display name, or the id where there is none."""
        return self.display_name or self.id


class Human(_Actor):
    """A person. `authenticated_by` names the channel that verified them; without it nothing human-only passes."""

    type: Literal["human"] = "human"
    user_id: Identifier
    roles: tuple[str, ...] = ()
    authenticated_by: str | None = None


class Automation(_Actor):
    """A service acting on its own account: an integration's result, a webhook source, an API key."""

    type: Literal["automation"] = "automation"
    service_id: Identifier
    version: str | None = None
    on_behalf_of: Identifier | None = None


class AiAgent(_Actor):
    """A model acting through a provider. `on_behalf_of` is the person behind it, who may not approve what it asks."""

    type: Literal["ai-agent"] = "ai-agent"
    model_id: Identifier
    provider: Identifier
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    prompt_hash: str | None = None
    tools_used: tuple[str, ...] = ()
    on_behalf_of: Identifier | None = None


class System(_Actor):
    """Loopgate itself: the sweep that turns a due deadline into a signal, the engine that gives up on a provider."""

    type: Literal["system"] = "system"
    component_id: Identifier
    version: str | None = None


Actor = Annotated[Human | Automation | AiAgent | System, Field(discriminator="type")]

#: Reads an actor from JSON at any edge, enforcing the fields its type requires.
ACTOR: TypeAdapter[Human | Automation | AiAgent | System] = TypeAdapter(Actor)


def human(person_id: str, name: str | None = None, *, roles: tuple[str, ...] = (), via: str | None = None) -> Human:
    """Return the human *person_id*, verified by the channel *via*."""
    return Human(id=person_id, user_id=person_id, display_name=name, roles=roles, authenticated_by=via)


def service(service_id: str, name: str | None = None, *, on_behalf_of: str | None = None) -> Automation:
    """Return the automation actor of the service *service_id*."""
    return Automation(id=service_id, service_id=service_id, display_name=name, on_behalf_of=on_behalf_of)


def system(component_id: str) -> System:
    """Return the system actor of one of Loopgate's own components."""
    return System(id=f"system:{component_id}", component_id=component_id, display_name=f"Loopgate {component_id}")


def people_behind(actor: Human | Automation | AiAgent | System) -> frozenset[str]:
    """Return the ids of the people an act counts as theirs: the human, or the one an agent or service acts for."""
    match actor:
        case Human():
            return frozenset({actor.user_id})
        case Automation() | AiAgent():
            return frozenset({actor.on_behalf_of}) if actor.on_behalf_of else frozenset()
        case System():
            return frozenset()


def folded(name: str) -> str:
    """Return *name* as people are compared: who is behind an ask is its sender's text, and "Dana " is our dana."""
    return unicodedata.normalize("NFKC", name).strip().casefold()
