"""
Every word people read in Slack, but for answers to the slash command (`commands.wording`) and what is said of events
(`threads`).

Plain values and functions of text that is ready for Slack: what comes in is escaped already, what goes out is `mrkdwn`
unless it says otherwise. No sentence claims more than the ledger holds.
"""

from collections.abc import Sequence

from channels.slack.faces import Face

APP_NAME = "Loopgate"

DETAILS = "Details"
PREVIOUS = "← Previous"
NEXT = "Next →"
CLOSE = "Close"
CANCEL = "Cancel"

#: Icon and headline of each face.
FACES: dict[Face, tuple[str, str]] = {
    "waiting": ("⏳", "Waiting for approval"),
    "needs_information": ("❓", "Needs information"),
    "suspended": ("⏸️", "Paused"),
    "approved": ("✅", "Approved"),
    "executing": ("✅", "Approved, now executing"),
    "handed_over": ("✅", "Approved and handed over"),
    "executed": ("✅", "Approved and executed"),
    "execution_failed": ("❌", "Approved, but execution failed"),
    "rejected": ("⛔", "Rejected"),
    "decided": ("☑️", "Decided"),
    "expired": ("⌛", "Expired"),
    "superseded": ("↪️", "Superseded"),
    "cancelled": ("🚫", "Cancelled"),
    "withdrawn": ("↩️", "Withdrawn"),
}

#: What a face means for the proposal, where the headline alone does not say it.
MEANING: dict[Face, str] = {
    "waiting": "",
    "needs_information": "A question waits for its answer. It may be decided all the same.",
    "suspended": "The loop rests. It can be decided here again once it is resumed.",
    "approved": "",
    "executing": "What was approved has been sent out; this card changes when its result is back.",
    "handed_over": "What was approved has been sent out; its result is recorded on the ledger.",
    "executed": "",
    "execution_failed": "Carrying it out failed, and nothing tries again by itself.",
    "rejected": "What was proposed does not run.",
    "decided": "",
    "expired": "Nobody decided in time. Nothing was approved.",
    "superseded": "The loop moved on before anybody decided. Answers to this card no longer count.",
    "cancelled": "The loop was ended. Nothing of this runs any more.",
    "withdrawn": "Nothing of it runs. Answers to this card no longer count.",
}


def headline(face: Face, *, chosen: str | None = None) -> str:
    """Return icon and headline in bold; *chosen* names the answer taken where it is one of its own."""
    icon, words = FACES[face]
    return f"{icon} *{chosen or words}*"


_CALLS: dict[Face, str] = {"waiting": "Approval needed", "needs_information": "A question before approval"}


def notification(face: Face, title: str, *, by: str | None = None, chosen: str | None = None) -> str:
    """Return the one line a notification shows (escaped text, no formatting)."""
    icon, words = FACES[face]
    words = _CALLS.get(face) or chosen or words
    return f"{icon} {words}: {title}{f' (decided by {by})' if by else ''}"


def approvals_so_far(given: int, quorum: int) -> str:
    """Say how far the quorum is."""
    return f"{given} of {quorum} approvals"


def decide_by(when: str) -> str:
    """Say until when."""
    return f"Decide by {when}"


def decided_by(name: str, when: str) -> str:
    """Say who decided."""
    return f"Decided by *{name}*, {when}"


def ended_by(face: Face, name: str, kind: str) -> str:
    """Say who ended a request without answering it."""
    words = {"withdrawn": "Withdrawn by", "cancelled": "Cancelled by"}.get(face, "Ended by")
    return f"{words} *{name}*{_kind(kind)}"


def superseded_by(name: str, kind: str, what: str, state: str) -> str:
    """Say what was done instead of answering."""
    return f"*{name}*{_kind(kind)} took *{what}* instead; the loop is in {state} since"


RETRY = "Retry"


def retry_one(run: str) -> str:
    """Label the Retry button of one of several failures (plain text)."""
    return f"{RETRY} {run}"


def confirm_retry(run: str, title: str) -> str:
    """Ask before a risky effect is tried again (plain text)."""
    return f"At once this is tried again: {run}. It is about: {title}"


def not_retried(reason: str) -> str:
    """Tell somebody why nothing was tried again."""
    return f"⛔ Nothing was tried again: {reason}. {NOTHING_CHANGED}"


def run_failed(run: str, detail: str | None) -> str:
    """Say that one effect could not be carried out; *detail* is the integration's own words, quoted."""
    return f"❌ {run} failed" + (f":\n{detail}" if detail else ".")


def so_far(names: Sequence[str]) -> str:
    """Say who has approved while more are needed."""
    return "Approved so far by " + ", ".join(names)


def all_approved(names: Sequence[str]) -> str:
    """Say who the approvals of a full quorum came from."""
    return "Approved by " + ", ".join(names)


def asked_by(name: str, kind: str) -> str:
    """Say who asks."""
    return f"Asked by *{name}*{_kind(kind)}"


def proposed_by(name: str, kind: str) -> str:
    """Say which agent or service brought the proposal before humans."""
    return f"proposed by *{name}*{_kind(kind)}"


def _kind(kind: str) -> str:
    return {"human": "", "ai-agent": " (AI agent)", "automation": " (service)", "system": " (system)"}[kind]


def recommendation(signal: str, model: str, provider: str, confidence: str | None) -> str:
    """Head the quote of what a model wrote."""
    sure = f", confidence {confidence}" if confidence else ""
    return f"🤖 *AI recommendation:* {signal}\nWritten by the model {model} ({provider}){sure}. Quoted, not verified:"


def confidence(value: float) -> str:
    """Return a confidence as people read it, never rounded up: 0.999 is not certainty."""
    return f"{int(value * 1000 + 1e-6) / 10:g}\N{NO-BREAK SPACE}%"


FACTS = "As proposed:"


def fact(label: str, value: str) -> str:
    """State one fact in a list: quoted, as both are somebody else's words."""
    return f"> {label}: {value}"


REASON_GIVEN = "*Reason given:*"
CHECKS = "*Checks*"
RUNS_IF_APPROVED = "*Runs if approved*"
RUNS_IF_REJECTED = "*Runs if rejected*"
RUNS_NOW = "*Running*"
RAN = "*What ran*"
APPROVED_TO_RUN = "*Approved to run*"
WOULD_HAVE_RUN = "*Would have run*"
RUNS_NOTHING = "Nothing is run by Loopgate if approved; the loop moves on."


def run_name(integration: str, action: str) -> str:
    """Name one effect."""
    return f"*{integration}*: {action}"


def run(integration: str, action: str) -> str:
    """List one planned effect."""
    return f"• {run_name(integration, action)}"


def result(kind: str, status: str, detail: str | None) -> str:
    """Say what an integration reported; *detail* is its own words, quoted."""
    return f"*{kind}* reported: {status}" + (f"\n{detail}" if detail else "")


def guard_passed(guard_id: str) -> str:
    """Say that a check passed, by a name people know."""
    return "✅ " + _GUARDS.get(guard_id, f"{guard_id} passed")


def guard_warned(guard_id: str, message: str) -> str:
    """Say that a soft check objected."""
    return f"⚠️ {_GUARDS.get(guard_id, guard_id)}: *no*, {message}"


def guard_failed(guard_id: str, message: str) -> str:
    """Say that a hard check objected."""
    return f"❌ {_GUARDS.get(guard_id, guard_id)}: *no*, {message}"


_GUARDS = {
    "confidence-threshold": "Confidence high enough",
    "evidence-required": "Required evidence present",
    "human-only": "Done by a human",
    "cooldown": "Enough time since the last move",
}


def who_may_decide(approvers: str, quorum: int | None, separation: Sequence[str]) -> str:
    """Say whose answers count; *quorum* is None where *approvers* says already how many."""
    many = "Each person counts once."
    if quorum is not None:
        many = f"{quorum} different people must approve." if quorum > 1 else "One approval is enough."
    did = {"requester": "asked for it", "submitter": "proposed it"}
    excluded = f" Whoever {' or '.join(did[role] for role in separation)} may not." if separation else ""
    return f"*Who may decide:* {approvers}. {many}{excluded}"


def fingerprint(request_id: str, digest: str, size_bytes: int) -> str:
    """State exactly what is being decided: the request, its digest and how much the full parameters are."""
    return f"{request_id} · digest {digest} · parameters {byte_count(size_bytes)}, complete under {DETAILS}"


def byte_count(size_bytes: int) -> str:
    """Return a number of bytes with separators: it may be compared."""
    return f"{size_bytes:,} byte{'' if size_bytes == 1 else 's'}"


def more_characters(left: int) -> str:
    """Say how much of a text stands under Details only."""
    return f"_{left:,} more character{'' if left == 1 else 's'} under {DETAILS}_"


def more_items(left: int, what: str) -> str:
    """Say how many of a list stand under Details only."""
    return f"_{left:,} more {what}{'' if left == 1 else 's'} under {DETAILS}_"


# The course of a request: stages, versions, questions, parts handed over, parked transitions


ANSWER_QUESTION = "Answer"
EDIT = "Edit and approve"
QUESTION = "Ask a question"
HAND_OVER = "Hand my part over"
LATER = "Remind me in an hour"
WHY = "Why can't I?"
WITHDRAW = "Withdraw the request"
NO_VALUE = "nothing"
LONG_VALUE = f"a long value, under {DETAILS}"


def need(quorum: int, who: str) -> str:
    """Name one need: ``2 of sre``."""
    return f"{quorum} of {who}"


def need_so_far(filled: int, quorum: int, who: str) -> str:
    """Say how far one need is: ``1 of 2 sre``."""
    return f"{filled} of {quorum} {who}"


def stage_done(needs: str) -> str:
    """Say that a stage is behind us."""
    return f"✓ {needs}"


def stage_later(needs: str) -> str:
    """Say that a stage is still to come."""
    return f"then {needs}"


def more_stages(left: int) -> str:
    """Say how many stages are not listed."""
    return f"and {left} more stage{'' if left == 1 else 's'}"


def more_people(left: int) -> str:
    """Say how many people are not named."""
    return f"{left} more"


def lapsed(names: Sequence[str]) -> str:
    """Say whose approvals count no more because of who they are now."""
    return f"No longer counted, as they may not decide any more: {', '.join(names)}"


def voided(names: Sequence[str]) -> str:
    """Say whose votes were for an earlier version."""
    return f"Votes on an earlier version, which count no more: {', '.join(names)}"


def edited(version: int, editors: Sequence[str]) -> str:
    """Head what was changed."""
    by = f", edited by {', '.join(editors)}" if editors else ""
    return f"✏️ *Version {version} of the proposal*{by}"


def changed(path: str, old: str, new: str) -> str:
    """Say what one value was and is."""
    return f"• {path}: {old} → {new}"


def asks(name: str, at: str) -> str:
    """Head a question."""
    return f"❓ *{name}* asks ({at}):"


def replies(name: str, kind: str, at: str | None) -> str:
    """Head the answer to a question."""
    return f"💬 *{name}*{_kind(kind)} answers{f' ({at})' if at else ''}:"


def handed_over(by: str, to: str, reason: str | None) -> str:
    """Say who handed their part to whom."""
    return f"🔁 *{by}* handed their part to *{to}*{f': {reason}' if reason else ''}"


def parked(name: str, kind: str, transition: str, state: str) -> str:
    """Say what a parked transition's request is about."""
    return f"*{name}*{_kind(kind)} asks to take {transition} in state {state}."


# The modals for all that is rarer (titles, labels and hints are plain text)


EDIT_TITLE = "Edit and approve"
QUESTION_TITLE, QUESTION_LABEL, QUESTION_SUBMIT = "Ask a question", "What do you want to know?", "Ask"
QUESTION_HINT = "Goes onto the card under your name, and to whoever asked for this."
REPLY_TITLE, REPLY_LABEL, REPLY_SUBMIT = "Answer the question", "Your answer", "Answer"
REPLY_HINT = "Goes onto the card under your name."
HAND_OVER_TITLE, HAND_OVER_LABEL, HAND_OVER_SUBMIT = "Hand my part over", "Who decides instead of you?", "Hand over"
HAND_OVER_REASON = "Why?"
WITHDRAW_TITLE, WITHDRAW_SUBMIT = "Withdraw the request", "Withdraw"
NOBODY_KNOWN = "Loopgate does not know this person; choose somebody who is mapped in loopgate.yaml."
TEXT_MISSING = "Please write something."
ANSWERED_ALREADY = "This question has its answer already; the card shows it."
NOTHING_EDITED = "Nothing is different. Change a value here, or close this window and press Approve."
WHOLE_NUMBER = "Please enter a whole number."
A_NUMBER = "Please enter a number."
ONE_OF_THESE = "Please choose one of these."
YES, NO = "yes", "no"


def about_to_edit(title: str) -> str:
    """Say what submitting the edit modal does."""
    return (
        f"You are about to change and approve *{title}*\n"
        "What you change here is checked again, and goes onto the card with your name. Closing this window decides "
        "nothing."
    )


def edit_voids(names: Sequence[str], needs: str) -> str:
    """Say what an edit does to the votes of others."""
    gone = f"The approvals so far ({', '.join(names)}) will count no more. " if names else ""
    return f"⚠️ {gone}The changed proposal needs all of its approvals anew ({needs}); submitting this gives yours."


def edits_left_out(left: int) -> str:
    """Say how many values cannot be edited in one modal."""
    return f"_{left:,} more value{'' if left == 1 else 's'} may be edited, but not in this window._"


def value_now(value: str, bounds: str) -> str:
    """Say what a value is now and what it may become (plain text)."""
    return f"Now: {value}{f' ({bounds})' if bounds else ''}"


def value_long(characters: int) -> str:
    """Say that a value is too long for its box (plain text)."""
    return f"Now a text of {characters:,} characters, too long to show here. Leave this empty to keep it."


def bounds(least: str | None, most: str | None) -> str:
    """Say between what a value must be (plain text)."""
    if least is not None and most is not None:
        return f"{least} to {most}"
    if least is not None:
        return f"at least {least}"
    return f"at most {most}" if most is not None else ""


def about_to_ask(title: str) -> str:
    """Say what asking does."""
    return f"Your question about *{title}*. It decides nothing: the request stays open."


def about_to_reply(name: str, question: str, title: str) -> str:
    """Quote the question that is being answered."""
    return f"*{name}* asks about *{title}*:\n{question}"


def about_to_hand_over(title: str, needs: str) -> str:
    """Say what handing over does."""
    return (
        f"Somebody else decides *{title}* in your place; you cannot any more. "
        f"Who may approve: {needs}. It goes onto the card with your name."
    )


def about_to_withdraw(title: str) -> str:
    """Say what withdrawing does."""
    return (
        f"*{title}* is taken back: nobody can approve it any more, and nothing of it runs. Only who asked may do this."
    )


CONFIRM_TITLE, CONFIRM_NO = "Are you sure?", "Go back"


def confirm_text(answer: str, title: str, runs: Sequence[str]) -> str:
    """Ask before a risky answer is sent (plain text)."""
    then = f" At once this runs: {', '.join(runs)}." if runs else ""
    return f"“{answer}” counts as soon as you confirm.{then} It is about: {title}"


# Why somebody can or cannot decide


def why(title: str, needs: str, standing: str | None, lines: Sequence[str]) -> str:
    """Explain a policy to one person."""
    so_far = f" So far: {standing}." if standing else ""
    return "\n".join([f"*{title}* needs {needs}.{so_far}", *lines])


WHY_REQUESTER = "⛔ You cannot decide it: you asked for it, or what asked for it acts for you."
WHY_SUBMITTER = "⛔ You cannot decide it: you had a hand in proposing it, or the agent that did acts for you."
WHY_NOT_NAMED = "⛔ You cannot decide it: you are in none of the groups it names, nor named yourself."
WHY_HANDED_OVER = "⛔ You cannot decide it: you handed your part over."
WHY_LATER = "⏳ You cannot decide it yet: your part comes in a later stage."
WHY_EARLIER = "⛔ You cannot decide it now: your part was an earlier stage, which is done."
WHY_ANSWERED = "✅ You have answered already; each person counts once."
WHY_NOT_NEEDED = "✅ Your part is filled already. You may still reject it or ask a question."
WHY_YOU_CAN = "✅ You can: press Approve or Reject on the card."


def why_for(name: str) -> str:
    """Tell somebody in whose stead they may decide."""
    return f"✅ You can, for *{name}*, who is away: press Approve or Reject on the card."


def why_taken(names: Sequence[str]) -> str:
    """Tell somebody that there is nothing left to decide in the stead of those who are away."""
    return f"✅ You stand in for {', '.join(f'*{name}*' for name in names)}; that part is filled already."


def why_away(until: str) -> str:
    """Remind somebody that they are away."""
    return f"🌴 You are away until {until}; somebody decides in your stead. Your own answer counts all the same."


# What is told privately


NOTHING_CHANGED = "Nothing was changed by your click."

COULD_NOT_RECORD = (
    "⚠️ Your answer could not be recorded: Loopgate's store did not answer. Please try again in a moment. "
    "Clicking again is safe: one decision counts once."
)
COULD_NOT_OPEN = "⚠️ Slack did not open the window in time. Nothing was decided; please click again."
COULD_NOT_LOAD = "⚠️ Loopgate could not look this up: its store did not answer. Please try again in a moment."
NOT_OUR_BUTTON = (
    "⚠️ This button was made by another version of Loopgate and cannot be used. "
    "Nothing was changed. `/loops pending` lists what waits now."
)
UNKNOWN_REQUEST = "This request is not known here any more. Nothing was changed. `/loops pending` lists what waits now."


def cannot_inform(reason: str) -> str:
    """Tell somebody why their answer to a question, or their withdrawal, did not count."""
    return f"⛔ That did not count: {reason}. {NOTHING_CHANGED}"


def unmapped(user: str, team: str) -> str:
    """Tell somebody nobody knows what to do."""
    return (
        f"⛔ Your answer does not count: Slack user {user} (team {team}) is not mapped to a person. "
        f"Ask the platform team to map Slack user {user} (team {team}) to a person in loopgate.yaml. {NOTHING_CHANGED}"
    )


_MEMBERS_ONLY = "⛔ Your answer does not count: {} may not decide here, only full members may. " + NOTHING_CHANGED

#: What somebody mapped is told whom Slack says may not decide.
NOT_ELIGIBLE = {
    "deleted": _MEMBERS_ONLY.format("deactivated accounts"),
    "bot": _MEMBERS_ONLY.format("bots"),
    "guest": _MEMBERS_ONLY.format("guests"),
    "stranger": _MEMBERS_ONLY.format("people of other workspaces"),
    "foreign": _MEMBERS_ONLY.format("people of other workspaces"),
    "unverified": (
        "⏳ Loopgate could not verify just now that you are a full member of this workspace. Nothing was decided; "
        "please click again in a moment."
    ),
}

CHECKING = "⏳ Checking with Slack that you may decide this. Your answer is kept, and you are told what became of it."
CHECKED = "✅ You were found to be one who may decide; your answer counts."
NEVER_CHECKED = (
    "⛔ Your answer does not count: Slack could not be asked in time who you are. Nothing was decided; please answer "
    "again."
)


def foreign(team: str) -> str:
    """Tell somebody from another workspace."""
    return f"⛔ Your answer does not count: only members of workspace {team} may decide here. {NOTHING_CHANGED}"


def already(face: Face, by: str | None, when: str | None, *, chosen: str | None = None) -> str:
    """Tell a late clicker what was decided, by whom and when."""
    words = {
        "waiting": "being decided",
        "needs_information": "being decided",
        "suspended": "paused, and can be decided once it is resumed",
        "approved": "approved",
        "executing": "approved (it is executing now)",
        "handed_over": "approved",
        "executed": "approved and executed",
        "execution_failed": "approved (but its execution failed)",
        "rejected": "rejected",
        "decided": f"decided ({chosen})" if chosen else "decided",
        "expired": "expired",
        "superseded": "superseded",
        "cancelled": "cancelled",
        "withdrawn": "withdrawn",
    }[face]
    return f"Already {words}{f' by {by}' if by else ''}{f', {when}' if when else ''}. {NOTHING_CHANGED}"


def expired(when: str | None) -> str:
    """Tell somebody who came too late."""
    return f"⌛ The time to answer ended{f' {when}' if when else ''}. {NOTHING_CHANGED}"


def not_an_approver(approvers: str) -> str:
    """Tell somebody the policy does not name."""
    return f"⛔ You may not decide this; these may: {approvers}. {NOTHING_CHANGED}"


SELF_APPROVAL = (
    "⛔ You asked for this, proposed it or stand behind the agent that did, so somebody else must decide. "
    + NOTHING_CHANGED
)


def not_needed(progress: str) -> str:
    """Tell somebody that their part is filled already."""
    return f"Your part is approved already; this waits for others ({progress}). {NOTHING_CHANGED}"


def already_answered(progress: str) -> str:
    """Tell somebody whose answer is counted already."""
    return f"Your answer is counted already; each person counts once ({progress}). {NOTHING_CHANGED}"


STALE = (
    "↪️ The proposal is no longer the one this card showed. Look at the newest card and decide there. " + NOTHING_CHANGED
)
STALE_REASON = "the proposal is not the one that was shown"
REASON_NEEDED = "✏️ This answer needs a reason. Nothing was decided; please click again and say why."


def refused(message: str) -> str:
    """Tell somebody why their answer was refused, in the engine's words."""
    return f"⛔ Your answer was not accepted: {message}. {NOTHING_CHANGED}"


# The reason modal (plain text)


REASON_LABEL = "Reason"
REASON_HINT = "Goes on the record with your name, and onto the card."
REASON_MISSING = "Please say why; this answer needs a reason."
REFUSED_TITLE = "Not counted"
CHECKING_TITLE = "Checking who you are"


def about_to(answer: str, title: str) -> str:
    """Say what submitting the modal does."""
    return f"You are about to answer *{answer}* to: *{title}*\nClosing this window decides nothing."


# Details


DETAILS_TITLE = "Details"
DETAILS_OUTDATED = "↪️ The proposal has changed since the card you clicked; this is the newer one."
DETAILS_UNMAPPED = "⛔ The complete parameters are shown to people Loopgate knows."


def details_head(title: str, digest: str, size_bytes: int) -> str:
    """Head every page of Details."""
    return (
        f"*{title}*\nEverything an approver agrees to, complete. "
        f"Digest of the proposal: {digest}. Parameters: {byte_count(size_bytes)} of canonical JSON."
    )


SEND_FILE = "Send me the file"
FILE_ON_ITS_WAY = f"📎 The file comes to you as a direct message from {APP_NAME}; that you asked is on the ledger."
FILE_ASKED_BEFORE = f"📎 You have asked for this file before; look in your direct messages with {APP_NAME}."


def file_refused(message: str) -> str:
    """Say why no file is sent."""
    return f"⛔ No file is sent: {message}."


def file_not_sent(message: str) -> str:
    """Tell somebody that the file they asked for does not come."""
    return f"⛔ The file you asked for could not be sent: {message}. {DETAILS} still shows all of it, page by page."


def file_comment(title: str, request_id: str, version: int, digest: str, size_bytes: int) -> str:
    """Say what the file is, and how to check it."""
    return (
        f"📎 *{title}*\nThe complete proposal of {request_id}, version {version}, as you asked: "
        f"{byte_count(size_bytes)} of canonical JSON. Its digest is that of the file: `sha256sum` shows {digest}."
    )


def page_of(page: int, pages: int) -> str:
    """Number a page."""
    return f"Page {page} of {pages}"


# Direct messages


def direct_news(title: str, line: str, card: str) -> str:
    """Tell somebody what became of what they asked for."""
    return f"*{title}*\n{line}\n{_to_card(card)}"


def direct_ask(line: str, facts: Sequence[str], card: str) -> str:
    """Tell somebody that they are asked to decide."""
    return "\n".join([f"*{line}*", *facts, _to_card(card)])


def asked_in_stead_of(names: Sequence[str]) -> str:
    """Say for whom somebody is asked to decide."""
    people = ", ".join(f"*{name}*" for name in names)
    return f"You are asked in the stead of {people}, who {'is' if len(names) == 1 else 'are'} away."


def handed_to_you(by: str, reason: str | None) -> str:
    """Tell somebody who handed them their part."""
    return f"*{by}* handed their part to you{f': {reason}' if reason else ''}."


def _to_card(card: str) -> str:
    return f"<{card}|Open its card> to see all of it."


# The slash command and the Home tab


def command_unmapped(user: str, team: str) -> str:
    """Answer somebody nobody knows."""
    return (
        f"⛔ Slack user {user} (team {team}) is not mapped to a person. "
        f"Ask the platform team to map Slack user {user} (team {team}) to a person in loopgate.yaml."
    )


HOME_TEXT = (
    "When an agent or a system wants to change something that your rules reserve for people, a card appears in the "
    "channel that was chosen for it. *Approve*, *Reject* with a reason, or open *Details* for all of it.\n\n"
    "Every answer is recorded with your name. What was shown is what runs; a changed proposal is a new request."
)
HOME_COMMANDS = "`/loops pending` lists what waits for humans. `/loops help` says what else there is."


def home_waiting(count: int, *, has_more: bool) -> str:
    """Head what waits for the reader (plain text)."""
    return f"Waiting for you: {count}{' or more' if has_more else ''}"


HOME_NOTHING_WAITS = "🎉 Nothing waits for you right now."
HOME_ASKED = "What you asked for"
HOME_DECIDED = "What you decided lately"


def home_counts(counts: Sequence[tuple[str, int]], *, has_more: bool) -> str:
    """Say how many requests wait in each loop."""
    listed = " · ".join(f"{loop}: {count}" for loop, count in counts)
    return f"Waiting for people, by loop: {listed}{' (the newest only)' if has_more else ''}"


def you_answered(answer: str, when: str) -> str:
    """Say what the reader answered."""
    return f"You answered *{answer}*, {when}."


# Approving several at once


BULK_TITLE = "Approve several"
BULK_SUBMIT = "Approve selected"
BULK_DONE = "What became of each"
BULK_CHOICE = "Which of these do you approve?"
BULK_REASON_HINT = "Goes on the record with your name, for each of them."
BULK_NONE_SELECTED = "Select at least one, or close this window: closing it decides nothing."
BULK_NOTHING = "There are no longer several requests of this kind that wait for you. Nothing was decided."


def bulk_button(loop: str, count: int) -> str:
    """Label the button for the requests of one loop (plain text)."""
    return f"Approve several ({count}): {loop}"


def bulk_about(loop: str, count: int) -> str:
    """Say what submitting the window does."""
    return (
        f"*{loop}*: {count} requests. Each one you select is a decision of yours by itself, recorded and checked by "
        "itself. Closing this window decides nothing."
    )


def bulk_more(left: int) -> str:
    """Say how many of the kind the window does not list."""
    return f"{left} more of this kind; open this window again for those."


def bulk_approved(title: str) -> str:
    """Say that one was approved."""
    return f"✅ *{title}*: approved"


def bulk_counted(title: str, needed: str) -> str:
    """Say that an approval counts and more are needed."""
    return f"✅ *{title}*: your approval counts; it needs {needed}"


def bulk_checking(title: str) -> str:
    """Say that it is being found out whether somebody may decide."""
    return (
        f"⏳ *{title}*: your answer is kept while Slack is asked whether you may decide; you are told what became of it"
    )


def bulk_refused(title: str, words: str) -> str:
    """Say why one was refused."""
    return f"*{title}*\n{words}"


def bulk_not_tried(request: str) -> str:
    """Say that there was no time left for one."""
    return f"⏱️ *{request}*: not tried, Slack's time was up. Nothing was decided about it; please open the window again."


def bulk_unknown(request: str) -> str:
    """Say that nobody knows whether one was recorded."""
    return f"⚠️ *{request}*: Loopgate's store did not answer in time. Look at its card before you answer it again."


# What whoever runs Loopgate is told


def card_not_shown(title: str, about: str, error: str, effect: str) -> str:
    """Say that nobody could be asked."""
    return (
        f"🚨 *A request for approval could not be shown, so nobody was asked:* {title} ({about}). {error}. "
        f"Nothing was decided. Once that is mended it is tried again by itself, or at once by `/loops retry {effect}`."
    )


def effect_given_up(what: str, about: str, error: str, effect: str) -> str:
    """Say that an act of a loop was given up."""
    return (
        f"🚨 *{what} was given up* for {about}. {error}. `/loops show {about}` says how it stands now, "
        f"`loopgate effects list --state dead` what else was given up; it is `{effect}`."
    )


def subscription_disabled(what: str, error: str) -> str:
    """Say that a system is told no events any more."""
    return (
        f"🚨 *A subscription was switched off:* {what}. {error}. Once its receiver is well, "
        "`POST /api/v1/subscriptions/ID/enable` goes on where it stopped."
    )


def card_not_corrected(title: str, about: str, error: str, effect: str) -> str:
    """Say that a card goes on saying what is no longer so."""
    return (
        f"🚨 *A card can no longer be corrected, and may say what is not so:* {title} ({about}). {error}. "
        f"`/loops show {about}` says how it stands; `/loops retry {effect}` tries the card again."
    )


# While nobody decides


#: People a reminder mentions; the others are counted.
MENTIONED_MAX = 5


def waiting_for(users: Sequence[str]) -> str:
    """Mention those a reminder waits for, by Slack user id; nothing where nobody is known."""
    if not users:
        return ""
    left = len(users) - MENTIONED_MAX
    named = [f"<@{user}>" for user in users[:MENTIONED_MAX]]
    return f"\nWaiting for {', '.join(named)}{f' and {left} more' if left > 0 else ''}"


def next_reminder(when: str) -> str:
    """Say when people are reminded next."""
    return f"⏰ Next reminder {when}"


def on_call(schedule: str) -> str:
    """Name whoever is on call."""
    return f"who is on call ({schedule})"


def next_escalation(where: str | None, who: str, when: str) -> str:
    """Say whom the request is put before next, and when."""
    place = f" in {where}" if where else ""
    return f"📣 Escalates{place}{f' to {who}' if who else ''} {when}"


def at_expiry(state: str | None) -> str:
    """Say what silence comes to: the state the loop then goes to, or a refusal."""
    return f"⌛ Without a decision by then: {state or 'refused'}"


def snoozed(when: str) -> str:
    """Confirm that somebody is reminded later."""
    return f"💤 You will be reminded {when}. Until then reminders do not mention you; others may decide it meanwhile."


def cannot_snooze(reason: str) -> str:
    """Tell somebody why they are not reminded later."""
    return f"⛔ You will not be reminded: {reason}. {NOTHING_CHANGED}"


def snooze_over(title: str, request: str) -> str:
    """Remind somebody who asked to be."""
    return f"⏰ You asked to be reminded: *{title}* still waits for a decision. `/loops show {request}` says more."
