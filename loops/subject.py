"""Subjects: a definition under check, with the data it was read from: problems point at what is written there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loops.actors import ActorType
from loops.definition import LoopDefinition, State, Transition
from loops.guards import Guard
from loops.problems import Place, at


@dataclass(frozen=True, slots=True)
class Subject:
    """A definition under check, the plain data it was read from, and the runtime guards it may name."""

    definition: LoopDefinition
    data: Mapping[str, Any]
    guards: Mapping[str, Guard]

    @property
    def states(self) -> Iterable[tuple[Place, State]]:
        """Every state with its place."""
        return ((("states", index), state) for index, state in enumerate(self.definition.states))

    @property
    def transitions(self) -> Iterable[tuple[Place, Transition]]:
        """Every transition with its place."""
        return ((("transitions", index), each) for index, each in enumerate(self.definition.transitions))

    @property
    def state_ids(self) -> list[str]:
        """The ids of the states, in file order."""
        return [state.id for state in self.definition.states]

    def written(self, place: Place, *spellings: str) -> str:
        """Return the path of a key of the thing at *place* in the spelling the file uses."""
        here: Any = self.data
        for step in place:
            here = here[step]
        return at(*place, next((key for key in spellings if key in here), spellings[0]))

    def may_take(self, state_id: str, name: str, actor_type: ActorType) -> bool:
        """Whether *name* is a transition out of *state_id* that an actor of this type may take."""
        taken = self.definition.exit_named(state_id, name)
        return taken is not None and actor_type in taken.actors

    def approves(self, state_id: str, name: str) -> bool:
        """Whether *name* is the transition that approving takes out of *state_id*."""
        taken = self.definition.exit_named(state_id, name)
        return taken is not None and ("approve", taken) in self.definition.human_exits(state_id)
