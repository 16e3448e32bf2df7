"""
Module guards: Python callables that installed distributions register.

::

    # acme_guards.py
    from loops.guards import Failed, Guard, GuardContext
    from loops.values import Value

    class Window(Value):
        start_hour: int = 8

    def judge(context: GuardContext, window: Window) -> Failed | None:
        if context.now.hour >= window.start_hour:
            return None
        return Failed("outside_office_hours", "Nobody is in yet.")

    office_hours = Guard(Window, judge)

    # pyproject.toml
    [project.entry-points."loopgate.guards"]
    office-hours = "acme_guards:office_hours"
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from loops.errors import Rejected
from loops.guards import Guard
from loops.runtime_guards import RUNTIME_GUARDS
from loops.values import Value

#: The entry-point group that distributions register guards in.
GROUP = "loopgate.guards"


class BrokenGuard(Rejected):
    """A registered guard cannot be used; the message names the distribution and the entry point."""


def load_guards() -> Mapping[str, Guard]:
    """
    Return the guards that installed distributions register, by name; with the runtime guards they make a registry.

    Raises:
        BrokenGuard: If one cannot be loaded, is no `Guard`, or has the name of another or of a runtime guard.
    """
    found: dict[str, Guard] = {}
    origins = dict.fromkeys(RUNTIME_GUARDS, "Loopgate itself")
    for entry in entry_points(group=GROUP):
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"
        what = f"guard '{entry.name}' of {origin} ({entry.value})"
        if entry.name in origins:
            raise BrokenGuard(f"{what} has the name of a guard of {origins[entry.name]}; uninstall or rename one")
        origins[entry.name] = origin
        found[entry.name] = _loaded(entry, what)
    return found


def _loaded(entry: EntryPoint, what: str) -> Guard:
    try:
        guard = entry.load()
    except (Exception, SystemExit) as error:
        raise BrokenGuard(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(guard, Guard):
        raise BrokenGuard(f"{what} is {type(guard).__name__}; it must be a loops.guards.Guard")
    # A plugin need not have passed a type checker.
    parameters: Any = guard.parameters
    if not isinstance(parameters, type) or not issubclass(parameters, Value):
        raise BrokenGuard(f"{what}: its parameters must be a class derived from loops.values.Value")
    if not callable(guard.judge):
        raise BrokenGuard(f"{what}: its judge cannot be called")
    return replace(guard, evaluated_by="module")
