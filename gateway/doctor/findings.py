"""Findings: what a check says."""

from dataclasses import dataclass
from typing import Literal

#: `skipped`: what it needs is missing, which is another finding's failure.
Status = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What one check says.

    Args:
        says: One sentence about how it is.
        next_step: What to do about it; empty where there is nothing to do.
    """

    check: str
    status: Status
    says: str
    next_step: str = ""


def well(check: str, says: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", says)


def failing(check: str, trouble: str, otherwise: str = "") -> Finding:
    """Return a failure; its next step follows the first semicolon, as in all our messages, or is *otherwise*."""
    says, _, step = trouble.partition("; ")
    return Finding(check, "fail", says, step or otherwise)


def doubtful(check: str, trouble: str) -> Finding:
    """Return a warning, its next step after the first semicolon."""
    says, _, step = trouble.partition("; ")
    return Finding(check, "warn", says, step)


def skipped(check: str, needs: str) -> Finding:
    """Return that nothing was looked at, for want of what another check found missing."""
    return Finding(check, "skipped", f"not looked at: needs {needs}")
