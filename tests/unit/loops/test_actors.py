"""Actors as they are written: remembered by what they say, and never as anybody else."""

import pytest
from builders import an_agent, ci, person

from loops.actors import ACTOR, Actor, human, service, system
from loops.canonical import canonical_text

ACTORS = [
    person("dana"),
    ci("dana"),
    an_agent(behind="sam", confidence=0),
    an_agent(confidence=1),
    an_agent(confidence=0.5),
    system("sweep"),
    service("dana", "Dana"),
    human("dana", "Dana", roles=("sre",), via="slack"),
    human("dana", "Dana", roles=("sre", "lead"), via="slack"),
    person("dana").changed(metadata={"team": "a"}),
    person("dana").changed(metadata={"team": "b"}),
    person("dana").changed(display_name="D" * 200, roles=("r" * 2_000,)),
]


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("actor", ACTORS)
def test_an_actor_is_written_as_itself_every_time(actor: Actor, turn: int) -> None:
    """Made anew, and seen before or not, an actor's canonical JSON is that of its fields."""
    del turn
    again = ACTOR.validate_json(actor.model_dump_json())

    assert again.canonical == canonical_text(again.as_json())
