"""
Every word people read in answers to the slash command.

As in `channels.slack.wording`: what comes in is escaped already, what goes out is `mrkdwn` unless it says otherwise.
"""

from collections.abc import Sequence

from channels.slack.wording import APP_NAME

#: What each verb takes and does.
HELP: tuple[tuple[str, str], ...] = (
    ("pending [mine | GROUP | LOOP]", "what waits for people"),
    ("show ID", "how something stands"),
    ("history ID", "what happened to it, from its ledger"),
    ("who ID", "who may decide it, and why somebody may not"),
    ("definitions", "the loops there are"),
    ("start LOOP id=ID KEY=VALUE ...", "start a loop; asks for what is missing"),
    ("snooze ID 1h", "be reminded of a request later, by direct message"),
    ("away until TIME to PERSON", "have somebody decide in your stead; `away` shows it, `back` ends it"),
    ("cancel ID", "cancel a loop, after asking you once more"),
    ("retry EFFECT", "try again what failed"),
    ("help", "this"),
)


def help_text(command: str) -> list[str]:
    """Answer `help`."""
    return [
        f"*{APP_NAME}* asks you here before an agent's change runs. To decide, use the buttons on a card or on "
        f"{APP_NAME}'s Home tab.",
        *(f"• `{command} {usage}`  {does}" for usage, does in HELP),
        "An ID may be any part of one, if it is the only match. Answers are for you alone; `--share` shows one to the "
        "channel. `--page 2` goes on.",
    ]


def unknown_verb(words: str, verb: str | None, command: str) -> list[str]:
    """Answer words the command does not know; *verb* is the nearest it does."""
    hint = f"Did you mean `{command} {verb}`?" if verb else f"`{command} help` lists what it knows."
    return [f"{command} does not know “{words}”. {hint}"]


def is_an_id(words: str, command: str) -> list[str]:
    """Answer an id without a verb."""
    return [f"What about {words}? `{command} show {words}` says how it stands; `{command} help` lists the rest."]


def needs_id(verb: str, command: str) -> list[str]:
    """Answer a verb that wants an id."""
    return [f"Which one? `{command} pending` lists what waits; then `{command} {verb} ID`."]


def no_such_thing(name: str, command: str) -> list[str]:
    """Answer an id that nothing has."""
    return [
        f"Nothing here is called “{name}”, nor has it in its id among the loops of late. `{command} pending` lists "
        "what waits now."
    ]


def archived(where: str) -> str:
    """Answer the id of a loop whose ledger left the store."""
    return f"{where}. Whoever runs Loopgate has the file; `loopgate audit verify` checks it."


def several(name: str, verb: str, command: str) -> str:
    """Head the list of things an id may mean."""
    return f"“{name}” is part of several ids. Which one? `{command} {verb} ID`"


def one_of_several(aggregate: str, loop: str, state: str) -> str:
    """List one thing an id may mean."""
    return f"• *{aggregate}*  {loop}: {state}"


def more_lines(count: int) -> str:
    """Say that an answer is longer than Slack takes."""
    return f"_{count:,} more line{'' if count == 1 else 's'} did not fit_"


def next_page(verb: str, page: int, command: str) -> str:
    """Say how to go on."""
    return f"_More: `{command} {verb} --page {page}`_"


def no_more_pages(page: int) -> list[str]:
    """Answer a page behind the last one."""
    return [f"There is no page {page}."]


# pending

NOTHING_PENDING = "Nothing waits for people right now."
NOTHING_FOR_YOU = "Nothing waits for you right now."


def nothing_pending_there(word: str) -> str:
    """Answer a list narrowed down to nothing."""
    return f"Nothing waits for “{word}” right now; that is neither a loop nor a group with something to decide."


def pending_head(count: int, *, has_more: bool, whose: str | None) -> str:
    """Head the list of what waits; *whose* is what it was narrowed down to."""
    return f"*Waiting for {whose or 'people'}:* {count}{' or more' if has_more else ''}"


PENDING_MINE = "you"


def pending_line(request: str) -> str:
    """List one request."""
    return f"⏳ {request}"


def pending_more(parts: Sequence[str]) -> str:
    """Say the rest about one request."""
    return f"      {' · '.join(parts)}"


def asked(when: str) -> str:
    """Say since when."""
    return f"asked {when}"


def decided_by(when: str) -> str:
    """Say until when."""
    return f"decide by {when}"


YOU_MAY = "✅ you may decide"


# show, history, who


def in_state(loop: str, version: str, state: str, status: str) -> str:
    """Say where a loop stands."""
    return f"{loop} {version}, in *{state}*" + ("" if status == "active" else f" ({status})")


def asked_by(name: str, when: str) -> str:
    """Say who started it."""
    return f"Started by *{name}*, {when}"


def gave(name: str, answer: str, when: str) -> str:
    """Say what one person answered."""
    return f"• *{name}*: {answer}, {when}"


def ids(request: str | None, instance: str) -> str:
    """Give the ids."""
    return " · ".join(each for each in (f"request {request}" if request else None, f"instance {instance}") if each)


def look_further(aggregate: str, command: str) -> str:
    """Say where to read on."""
    return f"`{command} history {aggregate}` · `{command} who {aggregate}`"


def given_up(kind: str, effect: str, error: str | None, command: str) -> str:
    """Say what Loopgate gave up on."""
    return f"⚠️ Failed: {kind}{f', {error}' if error else ''}. `{command} retry {effect}` tries once more."


def history_head(aggregate: str, first: int, last: int, total: int) -> str:
    """Head a stretch of a ledger."""
    return f"*History of {aggregate}*, newest last: {first} to {last} of {total}"


def nobody_asked(aggregate: str) -> list[str]:
    """Answer `who` about something that asks nobody now."""
    return [f"{aggregate} asks nobody right now."]


def who_head(request: str, policy: str) -> str:
    """Head the list of deciders."""
    return f"{request}\nNeeds {policy}."


def may(name: str) -> str:
    """List somebody who may decide."""
    return f"✅ *{name}* may decide"


def may_for(name: str, absent: Sequence[str]) -> str:
    """List somebody who may decide in the stead of people who are away."""
    return f"✅ *{name}* may decide for {_all(absent)}, who {'is' if len(absent) == 1 else 'are'} away"


def is_away(line: str, until: str, to: str | None) -> str:
    """Add to the line of somebody that they are away."""
    return f"{line} (🌴 away until {until}{f', {to} stands in' if to else ''})"


def _all(names: Sequence[str]) -> str:
    *most, last = (f"*{name}*" for name in names)
    return f"{', '.join(most)} and {last}" if most else last


def may_not(name: str, why: str) -> str:
    """List somebody who belongs there and may not decide."""
    return f"⛔ *{name}* may not: {why}"


NOBODY_MAY = "⚠️ Nobody known here may decide this now."


# definitions, start


def definition(loop: str, version: str, description: str) -> str:
    """List one loop."""
    return f"• *{loop}* {version}  {description}"


def starts_with(keys: str) -> str:
    """Say what a loop is started with."""
    return f"      started with {keys}"


NO_DEFINITIONS = "There are no loops; name them under `loops` in loopgate.yaml."


def needs_loop(command: str) -> list[str]:
    """Answer `start` without a loop."""
    return [f"Which loop? `{command} definitions` lists them; then `{command} start LOOP id=ID KEY=VALUE ...`"]


def no_such_loop(name: str, meant: str | None, command: str) -> list[str]:
    """Answer the name of a loop there is not."""
    hint = f"Did you mean `{command} start {meant}`?" if meant else f"`{command} definitions` lists those there are."
    return [f"There is no loop “{name}”. {hint}"]


def not_a_pair(word: str, command: str) -> list[str]:
    """Answer a word of `start` that is no KEY=VALUE."""
    return [f'“{word}” is not KEY=VALUE. Put values with spaces in quotation marks: `{command} start LOOP key="a b"`.']


CLASHING_KEYS = "One key is part of another, such as `a` and `a.b`; nothing was started."
TOO_MUCH_TO_ASK = "That is too long for a window. Give all values in the command, or leave them all to the window."
COULD_NOT_OPEN = "⚠️ Slack did not open the window in time. Nothing was changed; please try again."
COULD_NOT_RECORD = (
    "⚠️ This could not be recorded: Loopgate's store did not answer in time. Look with `/loops show` before you try "
    "again."
)


def started(aggregate: str, loop: str, state: str, command: str) -> list[str]:
    """Say that a loop was started."""
    return [f"▶️ Started *{loop}* on *{aggregate}*; it is in {state}. `{command} show {aggregate}` says how it stands."]


def refused(message: str) -> list[str]:
    """Say that something was refused, in the engine's words."""
    return [f"⛔ {message}."]


# The windows (plain text but for what they say)

START_TITLE = "Start a loop"
START = "Start"
ID_LABEL = "Id of the business object"
ID_HINT = "Such as CHG-2001. Only one loop runs on it at a time."
VALUE_HINT = "Text, or JSON for anything else."


def start_about(loop: str, description: str) -> str:
    """Say what submitting starts."""
    return f"*{loop}*\n{description}"


def start_given(pairs: str) -> str:
    """Say what the command gave already."""
    return f"Given already: {pairs}"


CANCEL_TITLE = "Cancel a loop"
CANCEL = "Cancel the loop"
KEEP = "Keep it"
REASON_LABEL = "Reason"
REASON_HINT = "Goes on the record with your name."
DONE_TITLE = "Done"
NOT_DONE_TITLE = "Not done"
NOT_OURS = "⚠️ This window was made by another version of Loopgate. Nothing was changed."


def cancel_about(aggregate: str, loop: str, state: str) -> str:
    """Say what submitting cancels."""
    return (
        f"You are about to cancel *{aggregate}* ({loop}, in {state}).\n"
        "Whatever waits there is not decided and does not run. This cannot be undone."
    )


def cancelled(aggregate: str) -> str:
    """Say that a loop was cancelled."""
    return f"🚫 *{aggregate}* is cancelled."


def is_over(aggregate: str, status: str) -> list[str]:
    """Answer `cancel` of something that is over."""
    return [f"*{aggregate}* is {status} already; there is nothing to cancel."]


def may_not_manage(aggregate: str) -> list[str]:
    """Tell somebody that this is not theirs."""
    return [f"⛔ Only who asked for *{aggregate}*, or decides in its loop, may do this. Nothing was changed."]


# retry


def needs_effect(command: str) -> list[str]:
    """Answer `retry` without an effect."""
    return [f"Which effect? `{command} show ID` names what failed; then `{command} retry EFFECT`."]


def no_such_effect(name: str, command: str) -> list[str]:
    """Answer the id of an effect there is not."""
    return [f"There is no effect “{name}”. `{command} show ID` names those that failed."]


def tried_again(kind: str, aggregate: str, command: str) -> list[str]:
    """Say that an effect is tried once more."""
    return [f"🔁 {kind} of *{aggregate}* is tried once more; `{command} show {aggregate}` says what became of it."]


def needs_span(command: str) -> list[str]:
    """Answer `snooze` without a span that can be read."""
    return [f"For how long? Write it like `{command} snooze ID 30m`, `1h30m` or `1d`."]


def nothing_to_snooze(aggregate: str) -> list[str]:
    """Answer `snooze` of a loop that asks nobody."""
    return [f"{aggregate} waits for nobody just now, so there is nothing to be reminded of."]


# away, back


def needs_away(command: str) -> list[str]:
    """Answer `away` that says something, but not until when, or who stands in."""
    return [
        f"Until when, and who decides in your stead? `{command} away until friday 9:00 to @bea`. A time is written "
        "like `2026-12-24`, `2026-12-24 18:00`, `18:00`, `tomorrow`, `monday 9:00`, `3d` or `4h30m`."
    ]


def no_such_time(words: str, command: str) -> list[str]:
    """Answer `away` with a time that cannot be read."""
    return [f"“{words}” is no time I can read.", *needs_away(command)]


def no_such_person(name: str) -> list[str]:
    """Answer `away` with somebody nobody knows."""
    return [f"⛔ Nobody called “{name}” is known here, or more than one; write their @name. Nothing was changed."]


def away(to: str, until: str, there: str, command: str) -> list[str]:
    """Say that somebody is away from now on; *there* is when that is on their own clocks."""
    return [
        f"🌴 You are away until {until} ({there}), and *{to}* decides in your stead, where a policy would let you "
        f"hand them your part. It ends by itself then, or by `{command} back`. Your own answers count all the same.",
    ]


def stays_away(to: str, until: str, command: str) -> list[str]:
    """Show somebody their absence."""
    return [f"🌴 You are away until {until}; *{to}* decides in your stead. `{command} back` ends it."]


def is_here(command: str) -> list[str]:
    """Answer `away` of somebody who is not."""
    return [f"You are not away. `{command} away until TIME to PERSON` has somebody decide in your stead."]


def stands_in(name: str, until: str) -> str:
    """Tell somebody in whose stead they decide."""
    return f"You decide in the stead of *{name}*, who is away until {until}."


def back(to: str) -> list[str]:
    """Say that somebody is back."""
    return [f"👋 Welcome back. *{to}* decides in your stead no more."]


WAS_HERE = "You are not away; there is nothing to end."
