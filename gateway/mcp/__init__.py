"""
The MCP server: how a model asks people, waits for them, and takes back what it asked. It can never decide.

It is a caller of API v1 with a key of its own, through `gateway.client`; it opens no store and needs no configuration
file, so it runs beside the agent. `tools` are what a model may call, `server` serves them over stdio or HTTP.

To add a tool, write a method in `tools` whose docstring teaches a model when to call it, and name it in `TOOLS`. No
tool may take a decision: the API has no endpoint for one.
"""
