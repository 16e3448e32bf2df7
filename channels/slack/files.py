"""Files: what a request proposes as one, for somebody who would rather not read many pages. Pure."""

from dataclasses import dataclass

from channels.slack import wording
from channels.slack.mrkdwn import code, inline
from channels.slack.shortening import TITLE_MAX
from loops.canonical import canonical_json
from loops.errors import Rejected
from loops.ports import Loaded


@dataclass(frozen=True, slots=True)
class DetailsFile:
    """
    A file to upload.

    `name` ends with the effect's id, and nobody else's file of ours does: by that it is found again after a doubtful
    attempt, since files take no metadata. `title` is what Slack shows, `comment` (`mrkdwn`) stands above it.
    """

    name: str
    title: str
    comment: str
    content: bytes


def details_file(subject: Loaded, effect_id: str) -> DetailsFile:
    """
    Return the proposal of *subject*'s request: the bytes its digest is made over, and nothing else.

    Raises:
        Rejected: If *subject* has no request.
    """
    request = subject.request
    if request is None:
        raise Rejected(f"instance {subject.instance.instance_id} has no approval request to show")
    content = canonical_json(request.proposal.as_digested())
    title, request_id = inline(request.title, TITLE_MAX).text, inline(request.request_id, TITLE_MAX).text
    digest = code(request.digest.rpartition(":")[2])
    return DetailsFile(
        name=f"{request.request_id}-v{request.version}{suffix(effect_id)}",
        title=f"{request.request_id}, version {request.version}.json",
        comment=wording.file_comment(title, request_id, request.version, digest, len(content)),
        content=content,
    )


def suffix(effect_id: str) -> str:
    """Return how the name of the file of *effect_id* ends."""
    return f".{effect_id}.json"
