"""The browser page at `/` and its files: static, local, with a policy that loads nothing else."""

from importlib.resources import files
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_STATIC = files("channels.slack_sandbox") / "static"

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: https: http:; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "object-src 'none'; frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def index(_: Request) -> Response:
    """The workspace."""
    return _file("index.html")


async def static(request: Request) -> Response:
    """One of the page's own files."""
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    kind = _TYPES.get(PurePosixPath(name).suffix)
    found = _STATIC / name
    if kind is None or "/" in name or not found.is_file():
        return PlainTextResponse("no such file\n", 404)
    return Response(found.read_bytes(), media_type=kind, headers=_HEADERS)


ROUTES = [Route("/", index), Route("/static/{name}", static)]
