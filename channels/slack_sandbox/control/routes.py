"""The routes of the control API: a table, and what every call of it has in common."""

import json
from collections.abc import Awaitable, Callable

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from channels.slack_sandbox.acts import ImpossibleAct
from channels.slack_sandbox.control import acting, arranging, reading
from channels.slack_sandbox.form import NoSuchElementError
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.workspace import JsonObject

Handler = Callable[[Sandbox, Request, JsonObject], Awaitable[JsonObject]]


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = json.loads(await request.body() or b"{}") if request.method in {"POST", "DELETE"} else {}
            if not isinstance(body, dict):
                raise ImpossibleAct("invalid_body", "the body must be a JSON object")
            return JSONResponse(await handler(request.app.state.sandbox, request, body))
        except ImpossibleAct as error:
            status = 404 if error.code.startswith("no_such") else 400
            return _refused(error.code, str(error), status)
        except NoSuchElementError as error:
            return _refused("no_such_element", str(error), 404)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            where = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in wrong)
            return _refused("invalid_body", where, 400)
        except ValueError as error:
            return _refused("invalid_body", f"the body is not JSON: {error}", 400)

    return endpoint


def _refused(code: str, why: str, status: int) -> Response:
    return JSONResponse({"ok": False, "error": code, "message": why}, status)


_HANDLERS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/sandbox/act/click", acting.click),
    ("POST", "/sandbox/act/submit", acting.submit),
    ("POST", "/sandbox/act/close", acting.close),
    ("POST", "/sandbox/act/command", acting.command),
    ("POST", "/sandbox/act/home", acting.home),
    ("POST", "/sandbox/act/message", acting.write),
    ("GET", "/sandbox/state", reading.state),
    ("GET", "/sandbox/messages", reading.said),
    ("GET", "/sandbox/ephemerals", reading.ephemerals),
    ("GET", "/sandbox/views", reading.modals),
    ("GET", "/sandbox/home", reading.home_view),
    ("GET", "/sandbox/calls", reading.calls),
    ("GET", "/sandbox/deliveries", reading.deliveries),
    ("GET", "/sandbox/warnings", reading.warnings),
    ("POST", "/sandbox/reset", arranging.reset),
    ("POST", "/sandbox/faults", arranging.add_fault),
    ("DELETE", "/sandbox/faults", arranging.clear_faults),
    ("POST", "/sandbox/replay", arranging.replay),
    ("POST", "/sandbox/duplicate", arranging.duplicate),
    ("POST", "/sandbox/users/{user_id}", arranging.change_user),
    ("POST", "/sandbox/usergroups/{group_id}", arranging.change_usergroup),
    ("POST", "/sandbox/clock", arranging.set_clock),
    ("POST", "/sandbox/settings", arranging.change_settings),
    ("GET", "/sandbox/sockets", reading.sockets),
    ("POST", "/sandbox/sockets", arranging.act_on_sockets),
)

ROUTES = [
    Route("/sandbox/events", reading.follow, methods=["GET"]),
    *(Route(path, _endpoint(handler), methods=[method]) for method, path, handler in _HANDLERS),
]
