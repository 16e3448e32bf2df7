"""Plans are made of their seed alone, and hold something of everything."""

from typing import get_args

from chaos.plan import FaultKind, Kind, Point, plan


def test_equal_seeds_make_equal_plans() -> None:
    """A seed can be played again: what happens when is the same, and another seed's is not."""
    made = plan(7, 60, rate=2, every_s=2)

    assert made == plan(7, 60, rate=2, every_s=2)
    assert made.stories != plan(8, 60, rate=2, every_s=2).stories
    assert made.faults != plan(8, 60, rate=2, every_s=2).faults


def test_five_minutes_hold_everything() -> None:
    """In five minutes every kind of change comes and every kind of fault, at every point, and less towards the end."""
    made = plan(1, 300, rate=1.5, every_s=4)
    late = [fault for fault in made.faults if fault.at > 250]
    early = [fault for fault in made.faults if fault.at <= 50]

    assert {story.kind for story in made.stories} == {*get_args(Kind)}
    assert {fault.kind for fault in made.faults} == {*get_args(FaultKind)}
    assert {fault.how for fault in made.faults if fault.kind == "kill at a point"} == {*get_args(Point)}
    assert len(late) < len(early)
