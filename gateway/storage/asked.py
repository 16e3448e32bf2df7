"""Asked: which cards a commit wants to show what it did."""

from loops.commit import Commit


def cards_asked_for(commit: Commit) -> list[str]:
    """Return the requests whose cards are to show the commit's version: those it asks to post or update, each once."""
    if not commit.effects:
        return []
    asked = (effect for effect in commit.effects if effect.kind in {"card.post", "card.update"})
    return list(dict.fromkeys(str(effect.payload["requestId"]) for effect in asked if "requestId" in effect.payload))
