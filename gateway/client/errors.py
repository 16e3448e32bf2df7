"""
What callers of the client meet. All of it is a `loops.errors.LoopgateError`.

    LoopgateError
    ├── Unavailable       the gateway did not answer for as long as we are patient; ask again under the same key
    ├── TimedOut          nobody has decided yet; the request is still open
    └── Rejected
        ├── Refused       the gateway refused the call: status, code, fields
        ├── NotApproved   people decided otherwise, or the request ended without them
        └── NotRun        the decorated function was not run
            ├── NotJson   an argument has no canonical JSON form, so nobody was asked
            ├── Redacted  the gateway took secrets out of the arguments, so what runs could not be what is approved
            └── Differs   what was approved is not what was asked, beyond what may be edited
"""

from collections.abc import Mapping, Sequence

from gateway.api.models import ApprovalView
from loops.errors import LoopgateError, Rejected, Unavailable

__all__ = ["Differs", "NotApproved", "NotJson", "NotRun", "Redacted", "Refused", "TimedOut", "Unavailable"]


class Refused(Rejected):
    """The gateway refused the call. `code` is stable and for programs; `fields` says what is wrong with which part."""

    def __init__(self, status: int, code: str, error: str, fields: Mapping[str, str] | None = None) -> None:
        said = "".join(f"; {path}: {why}" for path, why in (fields or {}).items())
        super().__init__(f"{error} ({status} {code}{said})")
        self.status, self.code, self.error, self.fields = status, code, error, dict(fields or {})


class TimedOut(LoopgateError):  # noqa: N818 - the state it reports
    """Nobody has decided in the time given. `approval` is open, and may be waited for again, or withdrawn."""

    def __init__(self, approval: ApprovalView) -> None:
        super().__init__(f"{approval.approval_id} ('{approval.title}') still waits for {approval.waiting_for}")
        self.approval = approval


class NotApproved(Rejected):
    """The request is closed and was not approved: `status` is rejected, expired, withdrawn, cancelled or superseded."""

    def __init__(self, approval: ApprovalView) -> None:
        by = approval.decided_by
        who = f" by {by.name}" if by else ""
        why = f": {by.reason}" if by and by.reason else ""
        super().__init__(f"{approval.approval_id} ('{approval.title}') is {approval.status}{who}{why}")
        self.approval, self.status = approval, approval.status


class NotRun(Rejected):
    """The function was not run."""


class NotJson(NotRun):
    """Argument `argument` has no canonical JSON form (RFC 8785), so it cannot be shown, approved and digested."""

    def __init__(self, argument: str, why: str) -> None:
        super().__init__(f"argument '{argument}' cannot be approved: {why}; pass JSON values, or name it in `hidden`")
        self.argument = argument


class Redacted(NotRun):
    """The gateway took secrets out at `paths`: what people approve would lack what would run."""

    def __init__(self, paths: Sequence[str], approval: ApprovalView) -> None:
        named = ", ".join(paths)
        super().__init__(
            f"{approval.approval_id}: the gateway took out what looks like a secret at {named}; pass a name by which "
            "the function finds the secret itself, or name the argument in `hidden`"
        )
        self.paths, self.approval = tuple(paths), approval


class Differs(NotRun):
    """What was approved is not what was asked, and no edit that was offered explains it. `paths` says where."""

    def __init__(self, paths: Sequence[str], why: str, approval: ApprovalView) -> None:
        super().__init__(f"{approval.approval_id} is approved, but {why}: {', '.join(paths) or 'the digest'}")
        self.paths, self.approval = tuple(paths), approval
