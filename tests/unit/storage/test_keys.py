"""Keys: no text, whoever chose it, names anybody else's data."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.storage import keys

texts = st.text(st.characters(codec=None), max_size=300)


@given(texts)
def test_a_part_can_be_read_back(text: str) -> None:
    """Quoting loses nothing, lone surrogates included, and leaves no separator or space in a part."""
    part = keys.part(text)

    assert keys.unpart(part) == text
    assert not set(part) & {":", " ", "\n"}


@given(texts, texts, texts, texts)
def test_different_names_have_different_keys(a: str, b: str, c: str, d: str) -> None:
    """Two pairs of texts share a key only if they are the same pair."""
    assert (keys.pair(a, b) == keys.pair(c, d)) == ((a, b) == (c, d))


@given(texts, texts)
def test_bounded_parts_are_short_and_different(a: str, b: str) -> None:
    """However long the texts are, their parts are short and equal only for equal texts."""
    assert len(keys.bounded_part(a)) <= 128
    assert (keys.bounded_part(a) == keys.bounded_part(b)) == (a == b)
