"""The Lua scripts, each with the key prefixes and the server's clock in front of it."""

from collections.abc import Callable, Coroutine
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from gateway.storage import keys

#: One call of a script: arguments in, the server's reply out. Loads the script where the server does not know it.
Script = Callable[..., Coroutine[Any, Any, Any]]

# Redis turns script numbers into text with 17 significant digits and Lua itself with 14: times are spelled out.
_CLOCK = """
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function digits(number) return string.format('%.0f', number) end
"""

# The one way an effect changes its state: the listings of those that are not done with follow it.
_ENTER = """
local LISTED = {pending = true, claimed = true, failed = true, dead = true}
local function enter(id, state)
  local effect = KEY.EFFECT .. id
  local was = redis.call('HMGET', effect, 's', 'k', 'm')
  if LISTED[was[1]] then redis.call('ZREM', KEY.EFFECTS_IN .. was[1] .. ':' .. was[2], was[3]) end
  if LISTED[state] then redis.call('ZADD', KEY.EFFECTS_IN .. state .. ':' .. was[2], 0, was[3]) end
  redis.call('HSET', effect, 's', state)
end
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
    return f"local KEY = {{{prefixes}}}\n{_CLOCK}{_ENTER}\n{body}"
