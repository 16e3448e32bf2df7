"""Quoting: somebody else's words, as much of them as there is room for."""

from channels.slack import wording
from channels.slack.mrkdwn import quote


def shortened(text: str, maximum: int, *, lines: int = 30) -> str:
    """Return *text* quoted, and how much of it stands under Details only."""
    cut = quote(text, maximum, lines=lines)
    return f"{cut.text}\n{wording.more_characters(cut.left)}" if cut.left else cut.text
