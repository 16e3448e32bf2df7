"""
Uploads: a file on its way into the workspace, from its ticket until it is shared.

Source: docs.slack.dev, reference/methods/files.getUploadURLExternal and files.completeUploadExternal. The address takes
the bytes once, without a token; how Slack answers bytes that are not as many as announced is not documented, here they
are refused.
"""

import secrets

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.workspace import File, new_id


def new_upload(sandbox: Sandbox, name: str, length: int) -> tuple[File, str]:
    """A file that waits for its bytes, and the path that takes them."""
    file = File(id=new_id("F"), name=name, length=length, secret=secrets.token_urlsafe(24))
    sandbox.workspace.files[file.id] = file
    return file, f"/upload/v1/{file.secret}"


async def take(request: Request) -> Response:
    """The bytes of one file, raw."""
    sandbox: Sandbox = request.app.state.sandbox
    secret = request.path_params["secret"]
    fault = sandbox.faults.take_for_call("files.upload")
    if fault is not None:
        return PlainTextResponse("try again\n", fault.status if fault.kind == "5xx" else 503)
    file = next((each for each in sandbox.workspace.files.values() if each.secret == secret), None)
    if file is None or file.content is not None:
        return PlainTextResponse("no such upload\n", 404)
    content = await request.body()
    if len(content) != file.length:
        return PlainTextResponse(f"{len(content)} bytes instead of {file.length}\n", 400)
    file.content = content
    return PlainTextResponse(f"OK - {len(content)}")


async def download(request: Request) -> Response:
    """What a shared file holds, as the page offers it."""
    sandbox: Sandbox = request.app.state.sandbox
    file = sandbox.workspace.files.get(request.path_params["file_id"])
    if file is None or file.content is None or not file.is_complete:
        return PlainTextResponse("no such file\n", 404)
    # Whoever uploaded it chose what is in it: a browser must save it, never show it as a page of ours.
    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    return Response(file.content, media_type="application/octet-stream", headers=headers)


ROUTES = [
    Route("/upload/v1/{secret}", take, methods=["POST"]),
    Route("/sandbox/files/{file_id}/{name}", download, methods=["GET"]),
]
