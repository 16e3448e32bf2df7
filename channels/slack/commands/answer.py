"""The answer to a command: lines, as few blocks as hold them, never more than Slack takes."""

from collections.abc import Sequence
from typing import Any

from slack_bolt import BoltResponse

from channels.slack import blocks as b
from channels.slack.commands import wording
from channels.slack.limits import MESSAGE_TEXT_MAX, SECTION_TEXT_MAX
from channels.slack.listening import done
from channels.slack.mrkdwn import size

#: Units of text one answer holds: below what Slack takes in all blocks of a message.
ANSWER_MAX = 11_000


def answered(lines: Sequence[str], *, is_shared: bool = False) -> BoltResponse:
    """Return the answer of *lines* (`mrkdwn`): to one person, or to the channel if *is_shared*."""
    shown = _fitting(lines)
    answer: dict[str, Any] = {
        "response_type": "in_channel" if is_shared else "ephemeral",
        "text": _text(shown),
        "blocks": [b.section(text) for text in _sections(shown)],
        "unfurl_links": False,
        "unfurl_media": False,
    }
    return done(answer)


def _fitting(lines: Sequence[str]) -> list[str]:
    shown: list[str] = []
    room = ANSWER_MAX
    for line in lines:
        room -= size(line) + 1
        if room < 0:
            return [*shown, wording.more_lines(len(lines) - len(shown))]
        shown.append(line)
    return shown


def _sections(lines: Sequence[str]) -> list[str]:
    sections: list[str] = []
    for line in lines:
        if sections and size(sections[-1]) + 1 + size(line) <= SECTION_TEXT_MAX:
            sections[-1] += "\n" + line
        else:
            sections.append(line)
    return sections


def _text(lines: Sequence[str]) -> str:
    """Return the notification's text: whole lines, for formatting cut in two would read as something else."""
    text = lines[0]
    for line in lines[1:]:
        if size(text) + 1 + size(line) > MESSAGE_TEXT_MAX:
            break
        text += "\n" + line
    return text
