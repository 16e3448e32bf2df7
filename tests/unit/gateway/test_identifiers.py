"""Ids: never twice, always later, whatever the threads and the clock do."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from gateway.identifiers import TimeOrderedIds

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _milliseconds(made: str) -> int:
    number = 0
    for character in made:
        number = number * 32 + _ALPHABET.index(character)
    return number >> 80


def test_ids_strictly_increase() -> None:
    """Many within one millisecond are still in the order they were made."""
    ids = TimeOrderedIds()
    made = [ids.new("") for _ in range(20_000)]

    assert all(earlier < later for earlier, later in pairwise(made))


def test_ids_made_in_many_threads_never_repeat_and_increase_in_each() -> None:
    """Eight threads at once: all different, each thread's own in order."""
    ids = TimeOrderedIds()

    def make(_: int) -> list[str]:
        return [ids.new("ef_") for _ in range(2_000)]

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))

    assert len({each for own in made for each in own}) == 16_000
    assert all(own == sorted(own) for own in made)


def test_an_id_has_the_shape_of_a_ulid_behind_its_prefix() -> None:
    """26 characters of Crockford's alphabet, the first ten of them the time."""
    before = time.time_ns() // 1_000_000
    made = TimeOrderedIds().new("li_")
    after = time.time_ns() // 1_000_000

    assert re.fullmatch(f"li_[0-7][{_ALPHABET}]{{25}}", made)
    assert before <= _milliseconds(made.removeprefix("li_")) <= after


def test_two_processes_do_not_make_the_same_id() -> None:
    """Sources of ids know nothing of each other, and 80 bits are drawn anew by each."""
    one, other = TimeOrderedIds(), TimeOrderedIds()

    assert not {one.new("") for _ in range(1_000)} & {other.new("") for _ in range(1_000)}
