"""
Text for Slack: nobody else's words can look like ours, mention anyone or be cut without saying so.

Slack reads ``& < >``, formatting marks, emoji codes and quotes in `mrkdwn`, and links bare words where a text object is
not `verbatim`. Source: docs.slack.dev, messaging/formatting-message-text. Untrusted text keeps its letters; what Slack
would act on becomes a lookalike that Slack leaves alone. `exact` is for JSON, where nothing may be altered: what cannot
be shown as it is becomes a JSON escape of the same value.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loops.canonical import canonical_json

#: Characters nobody sees, or that reorder what they see (bidirectional controls), private use and lone surrogates.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e-\u200f\u202a-\u202e"
    "\u2800\u2060-\u206f\u3164\ud800-\udfff\ue000-\uf8ff\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\U000f0000-\U0010ffff"
)
#: Marks that are drawn onto the letter before them, and so many of which reach into the lines around.
_DRAWN_ON = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILED = re.compile(f"({_DRAWN_ON}{{3}}){_DRAWN_ON}+")
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_INEXACT = re.compile(
    f"[`\u00a0\u1680\u2000-\u200a\u200c\u200d\u2028\u2029\u202f\u205f\u3000{_HIDDEN}]|@(?=channel|here|everyone)"
    f"|(?<={_DRAWN_ON}{{3}}){_DRAWN_ON}",
    re.IGNORECASE,
)
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_MARKS = re.compile(r"[*~`]|(?<![^\W_])_|_(?![^\W_])")
_LOOKALIKES = {"*": "∗", "~": "∼", "`": "ˋ", "_": "ˍ"}
_QUOTE_MARKS = re.compile(r"(?m)^[ \t>]*>")
_EMOJI = re.compile(r":(?=[\w+'-]*[^\W\d_]|[\w'-]*\+)([\w+'-]+):")
_EVERYBODY = re.compile(r"@(?=channel|here|everyone)", re.IGNORECASE)

#: The signs our own words begin with, and their kin, as signs that no client draws in colour: only we use those.
_SIGNS = {
    **dict.fromkeys("✅☑✔✓🗸🆗", "√"),
    **dict.fromkeys("❌✖✗✘❎✕🗙", "×"),
    **dict.fromkeys("⛔🚫🛑🚷🔴", "⊘"),
    **dict.fromkeys("⏳⌛⏰⏱⏲🕒💤", "◷"),
    **dict.fromkeys("⚠🚨📣🟠🟡", "△"),
    **dict.fromkeys("❓❔❗❕", "?"),
    **dict.fromkeys("⏸⏯⏹", "‖"),
    **dict.fromkeys("▶➡↪🚀🏁🟢", "→"),
    **dict.fromkeys("↩⬅", "←"),
    **dict.fromkeys("🤖💬💡✏🔁🤝📎", "∘"),
}
_SIGN = re.compile(f"([{''.join(_SIGNS)}])[\ufe0e\ufe0f]?")
#: What parts our own words, where it stands alone.
_PARTS = re.compile(r"(?<!\S)[·•‧∙⋅・](?!\S)")
_QUOTATION = str.maketrans("“”„‟❝❞〝〞«»", "‘’‚‛‘’‘’‹›")

#: Shown for a text of which nothing can be seen: Slack refuses empty texts, and a gap must be seen.
NOTHING = "—"


@dataclass(frozen=True, slots=True)
class Cut:
    """Text ready for Slack, and how many characters of its source did not fit."""

    text: str
    left: int


def size(text: str) -> int:
    """Return the UTF-16 units of *text*: how JavaScript counts, and never less than any other count but bytes."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def escape(text: str) -> str:
    """Return *text* with the three characters Slack reads as control characters escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def seen(text: str) -> str:
    """Return *text* as a person sees it: one kind of line end, no hidden or reordering characters."""
    return _PILED.sub(r"\1", _UNSEEN.sub("", _LINE_ENDS.sub("\n", text))).replace("\t", " ")


def one_line(text: str) -> str:
    """Return what is seen of *text* on one line, or `NOTHING`."""
    return " ".join(seen(text).split()) or NOTHING


def label(text: str, maximum: int) -> str:
    """Return one line of at most *maximum* units for a `plain_text` object, which Slack shows as it is."""
    return _label(one_line(text), maximum)


def value(text: str) -> str:
    """Return what is seen of untrusted *text* on one line, without the signs by which our own words are known."""
    return _PARTS.sub("-", _SIGN.sub(lambda sign: _SIGNS[sign[1]], one_line(text)))


def worded(text: str) -> str:
    """Return untrusted *text* as `value` in quotation marks that it cannot close, to stand in a sentence of ours."""
    return f"“{value(text).translate(_QUOTATION)}”"


def inline(text: str, maximum: int) -> Cut:
    """Return untrusted *text* as one line of at most *maximum* units, neutral and escaped."""
    return _fitted(_neutral(value(text)), maximum)


def quoted(text: str, maximum: int) -> str:
    """Return untrusted *text* as `inline`, in quotation marks that it cannot close."""
    return f"“{inline(text.translate(_QUOTATION), maximum - 2).text}”"


def quote(text: str, maximum: int, *, lines: int = 30) -> Cut:
    """Return untrusted *text* as a quote: every line of it marked, at most *lines* of them and *maximum* units."""
    source = _neutral(re.sub(r"\n{3,}", "\n\n", seen(text)).strip()) or NOTHING
    marked: list[str] = []
    shown, room = 0, maximum
    for line in source.split("\n")[:lines]:
        # What a line costs beside itself: the mark and its space, the line end, the ellipsis if it is the last.
        keep = _fitting(line, room - 4)
        marked.append(f"> {escape(line[:keep])}")
        shown += keep + 1
        room -= size(marked[-1]) + 1
        if keep < len(line) or room < 12:
            break
    left = max(0, len(source) - shown + 1)
    return Cut("\n".join(marked) + ("…" if left else ""), left)


def code(text: str) -> str:
    """Return `exact` text as inline code."""
    return f"`{escape(text)}`"


def exact(value: Any, *, indent: int | None = None) -> str:
    """
    Return the JSON of *value*, on lines if *indent* is given, that shows every character it holds.

    Hidden characters, odd spaces, backticks (which would end a code block) and the @ of mentions stand as JSON escapes,
    so the text is still JSON of the same value. Numbers are as in canonical JSON.
    """
    canonical = canonical_json(value).decode()
    if indent is not None:
        canonical = json.dumps(json.loads(canonical), ensure_ascii=False, sort_keys=True, indent=indent)
    return _INEXACT.sub(_json_escape, canonical)


def chunks(text: str, maximum: int) -> Iterator[str]:
    """Yield all of *text* in pieces of at most *maximum* escaped units, broken at line ends where possible."""
    start = 0
    while start < len(text):
        end = start + _fitting(text[start : start + maximum], maximum)
        line_end = text.rfind("\n", start, end)
        if end < len(text) and line_end > start:
            end = line_end + 1
        yield text[start:end]
        start = end


def when(at: datetime) -> str:
    """Return *at* so that every reader sees it in their own time zone; older clients see UTC."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time}}|{utc(at)}>"


def utc(at: datetime) -> str:
    """Return *at* for places that do not know Slack's dates, such as notifications."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}" if found[0] in "`@" else json.dumps(found[0])[1:-1]


def _neutral(text: str) -> str:
    text = _MARKS.sub(lambda mark: _LOOKALIKES[mark[0]], text)
    text = _QUOTE_MARKS.sub(lambda marks: marks[0].replace(">", "›"), text)
    return _EVERYBODY.sub("＠", _EMOJI.sub(r"꞉\1꞉", text))


def _fitted(text: str, maximum: int) -> Cut:
    if _cost(text) <= maximum:
        return Cut(escape(text), 0)
    keep = _fitting(text, maximum - 1)
    return Cut(escape(text[:keep]) + "…", len(text) - keep)


def _fitting(text: str, maximum: int) -> int:
    """Return how many characters of *text*, once escaped, fit into *maximum* units; at least one."""
    if _cost(text) <= maximum:
        return len(text)
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if _cost(text[:middle]) <= maximum:
            low = middle
        else:
            high = middle - 1
    return low


def _cost(text: str) -> int:
    return size(text) + 4 * text.count("&") + 3 * (text.count("<") + text.count(">"))


def _label(text: str, maximum: int) -> str:
    if size(text) <= maximum:
        return text
    kept = text[: maximum - 1]
    while size(kept) > maximum - 1:
        kept = kept[:-1]
    return kept + "…"
