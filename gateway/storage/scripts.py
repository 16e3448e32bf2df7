"""The Lua scripts, each with the key prefixes and the server's clock in front of it."""

from collections.abc import Callable, Coroutine
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from gateway.storage import keys

#: One call of a script: arguments in, the server's reply out. Loads the script where the server does not know it.
type_reply = Coroutine[Any, Any, Any]
Script = Callable[..., type_reply]

# Redis turns script numbers into text with 17 significant digits and Lua itself with 14: times are spelled out.
_CLOCK = """
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function digits(number) return string.format('%.0f', number) end
"""


def script(client: "Redis", name: str) -> Script:
    """Return the script ``lua/<name>.lua`` as a function of its arguments on *client*."""
    registered = client.register_script(source(name))

    async def call(*args: str | int | bytes) -> Any:
        return await registered(args=args)

    return call


def source(name: str) -> str:
    """Return the whole text of the script *name*."""
    body = (files("gateway.storage") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    prefixes = ", ".join(f"{key} = '{value}'" for key, value in keys.LUA.items())
    return f"local KEY = {{{prefixes}}}\n{_CLOCK}\n{body}"
