"""Tallies: what processes of one address count adds up, and is not lost when one of them is replaced."""

import os
from collections.abc import Iterator

import pytest

from gateway.tallies import PART, PID, Tallies, shared_memory


@pytest.fixture
def memory() -> Iterator[int]:
    """Memory for two processes."""
    descriptor = shared_memory(2)
    yield descriptor
    os.close(descriptor)


def test_everybody_knows_what_all_have_counted(memory: int) -> None:
    """Whoever is asked tells the sum, by labels, also of what was first counted after it was asked before."""
    one, other = (Tallies(memory, places=2, place=place) for place in (0, 1))
    one.add("clicks", "200")
    assert other.counts("clicks") == {("200",): 1}
    other.add("clicks", "200")
    other.add("clicks", "503")

    assert one.counts("clicks") == other.counts("clicks") == {("200",): 2, ("503",): 1}
    assert one.counts("webhooks") == {}


def test_who_takes_a_place_goes_on_counting_there(memory: int) -> None:
    """What a process counted stays when it is gone; how things stood with it does not."""
    watched, one = Tallies(memory, places=2, place=None), Tallies(memory, places=2, place=0)
    one.add("clicks")
    one.set_level("connections", 7)
    assert watched.levels("connections") == {0: 7}
    watched.wipe(0)
    assert (watched.levels("connections"), watched.counts("clicks")) == ({}, {(): 1})
    successor = Tallies(memory, places=2, place=0)
    successor.add("clicks")

    assert watched.counts("clicks") == {(): 2}
    assert watched.levels("connections") == {0: 0}
    assert watched.levels(PID) == {0: os.getpid()}


def test_a_process_alone_shares_with_nobody() -> None:
    """Without shared memory each has its own."""
    one, other = Tallies(), Tallies()
    one.add("clicks")

    assert other.counts("clicks") == {}


def test_labels_may_be_anything(memory: int) -> None:
    """A label is what it was, whatever it holds; a name is no prefix of another."""
    labels = ('ci\x00\x1f"[]', "ü" * 200, "")
    one, other = (Tallies(memory, places=2, place=place) for place in (0, 1))
    one.add("clicks", *labels)
    one.add("clicks2", *labels)

    assert other.counts("clicks") == {labels: 1}


def test_what_finds_no_room_is_left_out_and_nothing_breaks(memory: int) -> None:
    """A place that is full counts what it knew before, and leaves its neighbour's alone."""
    one, other = (Tallies(memory, places=2, place=place) for place in (0, 1))
    other.add("clicks")
    for number in range(PART // 1_000):
        one.add("long", f"{number}" + "x" * 1_000)
    one.add("long", "0" + "x" * 1_000)

    assert one.counts("long")["0" + "x" * 1_000,] == 2
    assert len(one.counts("long")) < PART // 1_000
    assert one.counts("clicks") == {(): 1}


def test_who_only_watches_counts_nothing(memory: int) -> None:
    """The pool has no place of its own."""
    with pytest.raises(ValueError, match="only watches"):
        Tallies(memory, places=2, place=None).add("clicks")
