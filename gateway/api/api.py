"""The API as routes: the table behind its door, the document of it, and the page that shows the document."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gateway.api.endpoint import SECURITY_HEADERS, Door, Endpoint
from gateway.api.openapi import document
from gateway.api.table import BASE

_PAGE = Path(__file__).parent / "docs.html"

# The page brings its own script and style, and talks to nobody but us.
_PAGE_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"


def api_routes(table: Sequence[Endpoint], door: Door) -> list[Route]:
    """Return the routes of *table*, to be mounted at the root. Document and page need no key: they hold no data."""
    described = document(table, version("loopgate"))
    page = _PAGE.read_text(encoding="utf-8")

    async def openapi(_: Request) -> Response:
        return JSONResponse(described, headers=SECURITY_HEADERS)

    async def docs(_: Request) -> Response:
        return HTMLResponse(page, headers={**SECURITY_HEADERS, "content-security-policy": _PAGE_POLICY})

    return [
        Route(f"{BASE}/openapi.json", openapi, methods=["GET"]),
        Route(f"{BASE}/docs", docs, methods=["GET"]),
        *map(door.route, table),
    ]
