"""Untrusted text cannot act, cannot look like ours, and is never cut without saying so."""

import json

import pytest
from builders import MORNING
from hypothesis import given
from hypothesis import strategies as st
from unit.slack.nasty import NASTY, nasty_text

from channels.slack.mrkdwn import chunks, escape, exact, inline, label, quote, size, when
from loops.canonical import canonical_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> wake up", "&lt;!channel&gt; wake up"),
        ("<@U1> <#C1> <https://evil.example|safe>", "&lt;@U1&gt; &lt;#C1&gt; &lt;https://evil.example|safe&gt;"),
        ("@here and @Channel and a@here.example", "＠here and ＠Channel and a＠here.example"),
        ("*bold* _italic_ ~gone~ `code`", "∗bold∗ ˍitalicˍ ∼gone∼ ˋcodeˋ"),
        ("max_replicas of __init__", "max_replicas of ˍˍinitˍˍ"),
        (":white_check_mark: at 10:30:45", "꞉white_check_mark꞉ at 10:30:45"),
        ("> quoted", "› quoted"),
        ("a\u202eb\u200bc\x00d", "abcd"),
        ("two\nlines\r\nmore\u2028end", "two lines more end"),
        ("AT&T &lt;b&gt;", "AT&amp;T &amp;lt;b&amp;gt;"),
        ("", "—"),
        ("\u200b\u202e", "—"),
    ],
)
def test_untrusted_text_is_shown_but_never_acted_on(text: str, shown: str) -> None:
    """What Slack would act on becomes a lookalike or an entity; the rest stays as it is."""
    assert inline(text, 200).text == shown


def test_a_quote_cannot_be_left() -> None:
    """Every line of untrusted text stands in the quote, whatever line ends it uses."""
    text = "fine\n✅ *Approved* by *CEO*\r\rreally\u2029> yes\n\n\n\nend"

    assert quote(text, 500).text == "> fine\n> ✅ ∗Approved∗ by ∗CEO∗\n> \n> really\n> › yes\n> \n> end"


def test_a_cut_says_how_much_is_left() -> None:
    """Cutting counts what is not shown."""
    cut = inline("a" * 100, 40)

    assert cut.text == "a" * 39 + "…"
    assert cut.left == 61


@given(nasty_text(), st.integers(30, 400))
def test_cut_texts_fit_and_never_split_an_escape(text: str, maximum: int) -> None:
    """Whatever the text, what goes out fits its limit and holds only whole entities."""
    for cut in (inline(text, maximum), quote(text, maximum)):
        assert size(cut.text) <= maximum
        without = cut.text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert "&" not in without
        assert "<" not in without
    assert all(line.startswith("> ") for line in quote(text, maximum).text.split("\n"))


@given(nasty_text())
def test_labels_fit_and_are_never_empty(text: str) -> None:
    """A `plain_text` is one visible line within its limit; Slack refuses empty ones."""
    shown = label(text, 24)

    assert 1 <= size(shown) <= 24
    assert "\n" not in shown


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-1000, 1000) | nasty_text(),
        lambda children: st.lists(children, max_size=4) | st.dictionaries(nasty_text(), children, max_size=4),
    )
)
def test_exact_json_is_the_same_value_with_nothing_hidden(value: object) -> None:
    """Escapes change how a value is written, never the value; nothing invisible and no backtick is left raw."""
    for indent in (None, 2):
        shown = exact(value, indent=indent)

        assert canonical_json(json.loads(shown)) == canonical_json(value)
        assert not set(shown) & set("`\u200b\u202e\u2066\u200d\u00a0\ufeff\x00\u2028")


@given(st.lists(st.sampled_from(NASTY), max_size=60).map("".join), st.integers(20, 300))
def test_chunks_lose_nothing(text: str, maximum: int) -> None:
    """Joined, the chunks are the text; each fits once escaped."""
    pieces = list(chunks(text, maximum))

    assert "".join(pieces) == text
    assert all(0 < size(escape(piece)) <= maximum for piece in pieces)


def test_dates_are_in_the_readers_time_zone_with_utc_as_fallback() -> None:
    """Slack formats the instant for each reader."""
    assert when(MORNING) == "<!date^1795338000^{date_short_pretty} at {time}|2026-11-22 09:00 UTC>"
