"""The command line of the MCP server."""

import os
from typing import Annotated, Any

import typer

from gateway.terminal import fail, say

#: How long a tool goes on while the gateway is away: with the default wait, less than a client's 60 s.
_PATIENCE_S = 10.0


def mcp(
    http: Annotated[bool, typer.Option("--http", help="Serve streamable HTTP instead of stdio.")] = False,
    host: Annotated[str, typer.Option(help="Where to listen, with --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Its port.")] = 8090,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name it is reached by, besides localhost. Repeatable.")
    ] = None,
    on_behalf_of: Annotated[
        str | None, typer.Option(help="The person the agent works for, who may not approve what it asks.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="The agent's id on the ledger; needs --model, --provider.")] = None,
    model: Annotated[str | None, typer.Option(help="The model that the agent is.")] = None,
    provider: Annotated[str | None, typer.Option(help="Whose model it is, such as anthropic.")] = None,
) -> None:
    """
    Serve the MCP tools by which an agent asks for approval, waits and withdraws. It can never decide.

    LOOPGATE_URL and LOOPGATE_TOKEN say which gateway, and with which key (`loopgate keys create`). With --http whoever
    calls must send LOOPGATE_MCP_TOKEN as bearer.
    """
    try:
        from gateway.mcp.server import http_app, mcp_server, serve_http
        from gateway.mcp.tools import Asker
    except ModuleNotFoundError as error:
        if error.name not in {"mcp", "mcp_types"}:
            raise
        fail("the MCP server needs the official SDK; in a clone of Loopgate: pip install -e '.[mcp]'")
    from gateway.client.loopgate import AsyncLoopgate

    who = _agent(agent, model, provider)
    server = mcp_server(AsyncLoopgate(patience_s=_PATIENCE_S), Asker(on_behalf_of, who))
    if not http:
        server.run("stdio")
        return
    app = http_app(server, os.environ.get("LOOPGATE_MCP_TOKEN", ""), allow_host or [])
    say(f"MCP at http://{host}:{port}/mcp; Ctrl-C stops it")
    serve_http(app, host, port)


def _agent(agent: str | None, model: str | None, provider: str | None) -> dict[str, Any] | None:
    if not (agent or model or provider):
        return None
    if not (agent and model and provider):
        raise typer.BadParameter("an agent on the ledger needs all of --agent, --model and --provider")
    return {"id": agent, "type": "ai-agent", "modelId": model, "provider": provider}
