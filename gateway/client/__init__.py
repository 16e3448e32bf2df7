"""
The client: how Python programs ask people, wait for the answer, and run what was approved.

    from gateway.client import Loopgate, requires_approval

It talks to API v1 with a key and knows nothing of what stands behind it: no store, queue or Slack. What is said and
when is written once, as *dialogues* that do no input or output (`asking`, over `dialogue`); `loopgate` has the two
shells that carry them on, one blocking and one async. `guarding` is the decorator, over `binding` (a call's arguments
as JSON, and back) and `verifying` (what was approved is what will run).

Unlike other packages of ours this one has names of its own: they are what callers import.
"""

from gateway.api.models import ApprovalView as Approval
from gateway.api.models import LoopPage, LoopView
from gateway.client.asking import Approvers, Terms
from gateway.client.errors import (
    Differs,
    NotApproved,
    NotJson,
    NotRun,
    Redacted,
    Refused,
    TimedOut,
    Unavailable,
)
from gateway.client.guarding import current_approval, requires_approval
from gateway.client.loopgate import AsyncLoopgate, Loopgate

__all__ = [
    "Approval",
    "Approvers",
    "AsyncLoopgate",
    "Differs",
    "LoopPage",
    "LoopView",
    "Loopgate",
    "NotApproved",
    "NotJson",
    "NotRun",
    "Redacted",
    "Refused",
    "Terms",
    "TimedOut",
    "Unavailable",
    "current_approval",
    "requires_approval",
]
