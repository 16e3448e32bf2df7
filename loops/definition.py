"""
Loop definitions: the versioned rules of one governed decision cycle, as data.

The Loop Engine format is read in either spelling (``loopId|id``, ``stateId|id``, ``terminal|isTerminal``,
``actors|allowedActors`` ...) and written in the newer one. What Loopgate adds is a state's `provider` and `approval`
and a transition's `effects`.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from loops.actors import ActorType
from loops.canonical import digest
from loops.policy import AnswerKind, ApprovalPolicy
from loops.values import Identifier, Value

#: States whose id begins so ask humans.
HUMAN_STATE_PREFIX = "PENDING_HUMAN_"


def _either(older: str, newer: str) -> Any:
    return AliasChoices(newer, older)


def _actor_spelling(value: Any) -> Any:
    # The canonical Loop Engine files have one actor type of their own, `webhook`: a service by another name.
    return "automation" if value == "webhook" else value


class GuardRule(Value):
    """One policy check of a transition. `hard` blocks, `soft` warns."""

    id: Identifier = Field(validation_alias=_either("guardId", "id"))
    """Which guard: one of the runtime guards, or one that a module or an external decision point provides."""
    description: str | None = None
    """What the check is for, in words."""
    severity: Literal["hard", "soft"] = "hard"
    """`hard` blocks the transition when the guard objects; `soft` lets it pass with a warning on the record."""
    evaluated_by: Literal["runtime", "module", "external"] = "runtime"
    """Who judges: the runtime itself, a Python module of the installation, or an external decision point."""
    failure_message: str | None = None
    """Shown instead of the guard's own words when it objects."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """What the guard is told, in its own parameters."""


class IntegrationCall(Value):
    """What a transition asks a system of record to do, and the signals its result comes back as."""

    integration: Identifier
    """Which integration of the gateway's configuration acts."""
    action: Identifier
    """What it is asked to do."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """What is sent; texts may have templates such as `{{ data.service }}`. Without any, the instance's data is sent."""
    on_success: Identifier | None = None
    """The signal its automation actor sends when it is done."""
    on_failure: Identifier | None = None
    """The signal its automation actor sends when it failed."""


class ProviderAsk(Value):
    """
    What a provider is asked when the state is entered.

    `on_failure` keeps the loop from waiting for ever on a model that is away or unsure.
    """

    use: Identifier
    """Which provider of the gateway's configuration is asked."""
    instruction: str
    """What it is asked to assess."""
    signals: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    """The signals it may choose from; each must lead out of this state and list `ai-agent`."""
    on_failure: Identifier | None = None
    """The signal the system sends when no submission was accepted."""


class State(Value):
    """A place a loop instance can be in."""

    id: Identifier = Field(validation_alias=_either("stateId", "id"))
    """The state's name. One that begins with `PENDING_HUMAN_` asks humans."""
    label: str = ""
    """What people read; the id where it is missing."""
    description: str | None = None
    """What being in this state means."""
    is_terminal: bool = Field(default=False, validation_alias=_either("terminal", "isTerminal"))
    """Whether an instance that gets here is complete."""
    is_error: bool = False
    """Whether getting here means that something went wrong."""
    provider: ProviderAsk | None = None
    """What a model is asked when the state is entered."""
    approval: ApprovalPolicy | None = None
    """How humans are asked in this state."""

    @model_validator(mode="before")
    @classmethod
    def _label_defaults_to_id(cls, data: Any) -> Any:
        return _with_default(data, "label", "id", "stateId")

    @property
    def asks_humans(self) -> bool:
        """Whether entering this state opens an approval request."""
        return self.id.startswith(HUMAN_STATE_PREFIX)


class Transition(Value):
    """
    A permitted move, the actor types that may take it, its guards and its effects.

    With `approval`, what an agent or a service asks is parked until humans approve it.
    """

    id: Identifier = Field(validation_alias=_either("transitionId", "id"))
    """The transition's name."""
    from_: Identifier = Field(alias="from")
    """The state it leaves."""
    to: Identifier
    """The state it leads to."""
    signal: Identifier
    """The intent that triggers it; the id where it is missing."""
    actors: Annotated[
        tuple[Annotated[ActorType, BeforeValidator(_actor_spelling)], ...],
        Field(min_length=1, validation_alias=_either("allowedActors", "actors")),
    ]
    """The types of actor that may take it: human, automation (also written webhook), ai-agent, system."""
    label: str = ""
    """What people read on its button; made from the id where it is missing."""
    description: str | None = None
    """What taking it means."""
    guards: tuple[GuardRule, ...] = ()
    """The policy checks before it is taken, in the order they are recorded."""
    effects: tuple[IntegrationCall, ...] = ()
    """What systems of record are asked to do once it is taken."""
    approval: ApprovalPolicy | None = None
    """Makes what an ai-agent or an automation asks wait until these humans approve it."""

    @model_validator(mode="before")
    @classmethod
    def _signal_defaults_to_id(cls, data: Any) -> Any:
        # An empty signal is not a missing one: it is refused.
        return _with_default(data, "signal", "id", "transitionId", blank=(None,))


class BusinessMetric(Value):
    """A figure by which the outcome of a loop is judged."""

    id: Identifier
    """The metric's name, as evidence and learning signals use it."""
    label: str = ""
    """What people read."""
    unit: str = ""
    """What it is counted in."""
    improvable_by_ai: bool | None = Field(default=None, alias="improvableByAI")
    """Whether better assessments could improve it."""
    description: str | None = None
    """What it says."""


class Outcome(Value):
    """What a completed loop is worth, and how that is measured."""

    id: str | None = None
    """The outcome's name."""
    description: str = ""
    """What a completed loop is worth, in words."""
    value_unit: str = ""
    """What is counted when a loop completes."""
    measurable: bool | None = None
    """Whether it can be measured."""
    business_metrics: tuple[BusinessMetric, ...] = ()
    """The figures by which it is judged, at least one."""


class LoopDefinition(Value):
    """One loop definition, normalised. `digest` pins its content for instances started from it."""

    id: Identifier = Field(validation_alias=_either("loopId", "id"))
    """The loop's name, such as `infrastructure.change`."""
    version: Identifier
    """A SemVer version, such as 1.0.0. Instances keep the one they were started with."""
    name: str = ""
    """What people read; the id where it is missing."""
    description: str = ""
    """What the loop governs."""
    domain: str | None = None
    """The part of the business it belongs to."""
    tags: tuple[str, ...] = ()
    """Words to find it by."""
    initial_state: Identifier
    """The state an instance starts in."""
    states: Annotated[tuple[State, ...], Field(min_length=1)]
    """The places an instance can be in."""
    transitions: tuple[Transition, ...] = ()
    """The permitted moves between them."""
    outcome: Outcome | None = None
    """What a completed loop is worth."""
    spawnable_loops: Any = None
    """Known elsewhere in the Loop Engine family; kept, not interpreted."""
    participants: Any = None
    """Known elsewhere in the Loop Engine family; kept, not interpreted."""
    metadata: Mapping[str, Any] | None = None
    """Anything else worth keeping with the loop; not interpreted."""

    @model_validator(mode="before")
    @classmethod
    def _name_defaults_to_id(cls, data: Any) -> Any:
        return _with_default(data, "name", "id", "loopId")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the normalised definition: both spellings of one loop share it."""
        return digest(self.as_digested())

    @cached_property
    def _states(self) -> dict[str, State]:
        return {state.id: state for state in self.states}

    @cached_property
    def _exits(self) -> dict[str, list[Transition]]:
        exits: dict[str, list[Transition]] = {}
        for transition in self.transitions:
            exits.setdefault(transition.from_, []).append(transition)
        return exits

    @cached_property
    def _named(self) -> dict[tuple[str, str], Transition]:
        # The first of a name counts, and an id before a signal.
        by_signal = {(t.from_, t.signal): t for t in reversed(self.transitions)}
        return by_signal | {(t.from_, t.id): t for t in reversed(self.transitions)}

    def state(self, state_id: str) -> State:
        """Return the state *state_id*. Raises KeyError for a state the definition does not have."""
        return self._states[state_id]

    def exits(self, state_id: str) -> list[Transition]:
        """Return the transitions out of *state_id*, in file order."""
        return self._exits.get(state_id, [])

    def exit_named(self, state_id: str, name: str) -> Transition | None:
        """Return the transition out of *state_id* with id or, failing that, signal *name*."""
        return self._named.get((state_id, name))

    def human_exits(self, state_id: str) -> list[tuple[AnswerKind, Transition]]:
        """
        Return the transitions a human may take out of *state_id*, with the kind of answer each one is.

        The policy's `answers` says which is which; otherwise an id or signal that begins with approve or reject does.
        """
        policy = self.state(state_id).approval or ApprovalPolicy()
        return [(_kind(t, policy), t) for t in self.exits(state_id) if "human" in t.actors]


def _kind(transition: Transition, policy: ApprovalPolicy) -> AnswerKind:
    kinds: tuple[Literal["approve", "reject"], ...] = ("approve", "reject")
    for kind in kinds:
        if kind in policy.answers:
            if policy.answers[kind] == transition.id:
                return kind
        elif transition.id.startswith(kind) or transition.signal.startswith(kind):
            return kind
    return "other"


def _with_default(data: Any, name: str, *sources: str, blank: tuple[str | None, ...] = (None, "")) -> Any:
    if not isinstance(data, Mapping) or data.get(name) not in blank:
        return data
    value = next((data[source] for source in sources if source in data), None)
    return data if value is None else {**data, name: value}
