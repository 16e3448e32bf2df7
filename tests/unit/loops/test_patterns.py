"""Patterns: what people write is matched as they meant it, or refused before it can stall anybody."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.patterns import BadPattern, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^[a-z0-9-]+$", "blue-2", True),
        ("^[a-z0-9-]+$", "Blue", False),
        ("^[a-z]+$", "abc\n", False),
        ("^\\d{3}$", "123", True),
        ("^\\d{3}$", "١٢٣", False),
        ("(?:[A-Z]{4}-){3}", "ABCD-EFGH-IJKL-", True),
        ("^(?:ab|cd){2}$", "abcd", True),
        ("^a{2,}$", "aaa", True),
        ("^a{2}$", "aaa", False),
        ("[[]", "a[b", True),
        ("[^\\]]", "]", False),
        ("a\\$b", "a$b", True),
        ("^v(?:\\d{1,3}\\.){2}\\d{1,3}(?:-[a-z]{1,10})?$", "v1.22.333-rc", True),
        ("a.c", "abc", True),
        ("[&&]", "&", True),
        ("^a+?$", "aaa", True),
    ],
)
def test_a_pattern_means_what_it_means_elsewhere(pattern: str, text: str, matches: bool) -> None:
    """Patterns are searched, ASCII, and `$` is the very end, as JSON Schema and browsers have it."""
    assert bool(compile_pattern(pattern, longest=200).search(text)) is matches


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(a+)+$", "could take too long"),
        ("(?:a|a){0,30}b", "could take too long"),
        ("(a{0,20}){0,20}b", "could take too long"),
        ("^([a-z]+-)*$", "could take too long"),
        ("a*a*a*a*b", "could take too long"),
        ("(a?){5000}", "could take too long"),
        ("(a)\\1", "not an escape that is allowed"),
        ("\\bword", "not an escape that is allowed"),
        ("(?=a)b", "only plain groups"),
        ("(?P<x>a)", "only plain groups"),
        ("(?i)a", "only plain groups"),
        ("a++", "a repetition is repeated"),
        ("^*", "cannot be repeated"),
        ("*a", "repeats nothing"),
        ("a{x}", "is no repetition"),
        ("a{3,2}", "asks for more than it allows"),
        ("(a", "never closed"),
        ("a)", "closes nothing"),
        ("[a", "never closed"),
        ("[]", "is empty"),
        ("[z-a]", "not a regular expression"),
        ("a\\", "not an escape"),
        ("(" * 20 + ")" * 20, "nested too deeply"),
        ("a" * 501, "longer than 500"),
    ],
)
def test_what_could_stall_or_mean_two_things_is_refused(pattern: str, says: str) -> None:
    """Whatever is refused is refused in words, when it is read."""
    with pytest.raises(BadPattern, match=re.escape(says)):
        compile_pattern(pattern, longest=2_000)


def test_what_is_safe_depends_on_how_long_texts_may_be() -> None:
    """Two repetitions are fine for a name, not for a page."""
    compile_pattern("[a-z]+-[a-z]+", longest=200)

    with pytest.raises(BadPattern):
        compile_pattern("[a-z]+-[a-z]+", longest=20_000)


@given(st.text("ab(|)?*+{}1,2[]^$\\.-", max_size=12))
def test_any_text_is_compiled_or_refused(pattern: str) -> None:
    """Nothing else is raised, and what is compiled answers at once on the worst of texts."""
    try:
        compiled = compile_pattern(pattern, longest=60)
    except BadPattern:
        return
    started = time.thread_time()
    for text in ("a" * 60, "ab" * 30, "b" * 59 + "-", "1" * 60):
        compiled.search(text)

    assert time.thread_time() - started < 5
