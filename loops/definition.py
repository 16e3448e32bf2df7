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
    """One policy check of a transition. `hard` blocks, `soft` warns; `failure_message` is shown instead of ours."""

    id: Identifier = Field(validation_alias=_either("guardId", "id"))
    description: str | None = None
    severity: Literal["hard", "soft"] = "hard"
    evaluated_by: Literal["runtime", "module", "external"] = "runtime"
    failure_message: str | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)


class IntegrationCall(Value):
    """What a transition asks a system of record to do, and the signals its result comes back as."""

    integration: Identifier
    action: Identifier
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    on_success: Identifier | None = None
    on_failure: Identifier | None = None


class ProviderAsk(Value):
    """
    What a provider is asked when the state is entered.

    `on_failure` is the signal the system sends when no submission was accepted, so that the loop does not wait for
    ever on a model that is away or unsure.
    """

    use: Identifier
    instruction: str
    signals: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    on_failure: Identifier | None = None


class State(Value):
    """A place a loop instance can be in."""

    id: Identifier = Field(validation_alias=_either("stateId", "id"))
    label: str = ""
    description: str | None = None
    is_terminal: bool = Field(default=False, validation_alias=_either("terminal", "isTerminal"))
    is_error: bool = False
    provider: ProviderAsk | None = None
    approval: ApprovalPolicy | None = None

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
    from_: Identifier = Field(alias="from")
    to: Identifier
    signal: Identifier
    actors: Annotated[
        tuple[Annotated[ActorType, BeforeValidator(_actor_spelling)], ...],
        Field(min_length=1, validation_alias=_either("allowedActors", "actors")),
    ]
    label: str = ""
    description: str | None = None
    guards: tuple[GuardRule, ...] = ()
    effects: tuple[IntegrationCall, ...] = ()
    approval: ApprovalPolicy | None = None

    @model_validator(mode="before")
    @classmethod
    def _signal_defaults_to_id(cls, data: Any) -> Any:
        # An empty signal is not a missing one: it is refused.
        return _with_default(data, "signal", "id", "transitionId", blank=(None,))


class BusinessMetric(Value):
    """A figure by which the outcome of a loop is judged."""

    id: Identifier
    label: str = ""
    unit: str = ""
    improvable_by_ai: bool | None = Field(default=None, alias="improvableByAI")
    description: str | None = None


class Outcome(Value):
    """What a completed loop is worth, and how that is measured."""

    id: str | None = None
    description: str = ""
    value_unit: str = ""
    measurable: bool | None = None
    business_metrics: tuple[BusinessMetric, ...] = ()


class LoopDefinition(Value):
    """One loop definition, normalised. `digest` pins its content for instances started from it."""

    id: Identifier = Field(validation_alias=_either("loopId", "id"))
    version: Identifier
    name: str = ""
    description: str = ""
    domain: str | None = None
    tags: tuple[str, ...] = ()
    initial_state: Identifier
    states: Annotated[tuple[State, ...], Field(min_length=1)]
    transitions: tuple[Transition, ...] = ()
    outcome: Outcome | None = None
    # Known elsewhere in the Loop Engine family; kept, not interpreted.
    spawnable_loops: Any = None
    participants: Any = None
    metadata: Mapping[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_defaults_to_id(cls, data: Any) -> Any:
        return _with_default(data, "name", "id", "loopId")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the normalised definition: both spellings of one loop share it."""
        return digest(self.as_json())

    @cached_property
    def _states(self) -> dict[str, State]:
        return {state.id: state for state in self.states}

    @cached_property
    def _exits(self) -> dict[str, list[Transition]]:
        exits: dict[str, list[Transition]] = {}
        for transition in self.transitions:
            exits.setdefault(transition.from_, []).append(transition)
        return exits

    def state(self, state_id: str) -> State:
        """Return the state *state_id*. Raises KeyError for a state the definition does not have."""
        return self._states[state_id]

    def exits(self, state_id: str) -> list[Transition]:
        """Return the transitions out of *state_id*, in file order."""
        return self._exits.get(state_id, [])

    def exit_named(self, state_id: str, name: str) -> Transition | None:
        """Return the transition out of *state_id* with id or, failing that, signal *name*."""
        exits = self.exits(state_id)
        by_id = [t for t in exits if t.id == name]
        return next(iter(by_id or [t for t in exits if t.signal == name]), None)

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
