"""Texts that break naive renderers: mentions, markup, hidden and reordering characters, emoji, sheer size."""

from hypothesis import strategies as st

NASTY = (
    "<!channel>",
    "<@U123>",
    "<https://evil.example|Approve>",
    "@here",
    "*bold*",
    "_it_",
    "~x~",
    "`",
    "```",
    "\n",
    "\r\n",
    "\u2028",
    "> ",
    ">>> ",
    "&amp;",
    "&",
    "<",
    ">",
    ":rotating_light:",
    "\u202eevil\u2066",
    "\u200b",
    "\u00a0",
    "👩‍💻",
    "𝔘" * 20,
    "שלום",
    "مرحبا",
    "日本語",
    "\x00",
    "\x1b[31m",
    "\U000e0041",
    "|",
    '"',
    "\\",
    "word " * 10,
    "x" * 200,
)


def nasty_text(max_pieces: int = 12) -> st.SearchStrategy[str]:
    """Return a strategy for nasty text."""
    pieces = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
    return st.lists(pieces, max_size=max_pieces).map("".join)
