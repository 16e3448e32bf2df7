"""What a loop wants to be started with: the data that it shows to people or sends to integrations. Pure."""

from collections.abc import Mapping

from loops.definition import LoopDefinition


def wanted(definition: LoopDefinition) -> tuple[str, ...]:
    """Return the paths into an instance's data that *definition* shows to people or sends to integrations, in order."""
    found: dict[str, None] = {}
    policies = [state.approval for state in definition.states] + [each.approval for each in definition.transitions]
    for policy in policies:
        if policy:
            found |= dict.fromkeys(_data_paths([policy.title, *policy.facts.values()]))
    for transition in definition.transitions:
        found |= dict.fromkeys(_data_paths([call.parameters for call in transition.effects]))
    # Of `a` and `a.b`, the object is asked for.
    return tuple(path for path in found if not any(path.startswith(f"{other}.") for other in found))


def _data_paths(value: object) -> list[str]:
    """Return the dotted paths below ``data`` that templates in *value* read."""
    match value:
        case str():
            return _templates(value)
        case Mapping():
            return [path for each in value.values() for path in _data_paths(each)]
        case list() | tuple():
            return [path for each in value for path in _data_paths(each)]
        case _:
            return []


def _templates(text: str) -> list[str]:
    holes = (hole.partition("}}")[0].strip() for hole in text.split("{{")[1:])
    return [hole.removeprefix("data.") for hole in holes if hole.startswith("data.")]
