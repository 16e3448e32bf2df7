"""Problems: what is wrong with a loop file, where, in plain words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

from pydantic import AliasChoices, ValidationError
from pydantic_core import ErrorDetails

from loops.values import Value

ProblemCode = Literal[
    # the Loop Engine's own, at the same paths
    "INVALID_INITIAL_STATE",
    "INVALID_TRANSITION_STATE",
    "DUPLICATE_GUARD_ID",
    "NO_TERMINAL_STATE",
    "LOOP_NOT_COMPLETABLE",
    "SIGNAL_CYCLE_DETECTED",
    "OUTCOME_METRICS_REQUIRED",
    # reading the file
    "UNREADABLE_FILE",
    "INVALID_YAML",
    "INVALID_JSON",
    "DUPLICATE_LOOP_ID",
    # shape
    "UNKNOWN_KEY",
    "DUPLICATE_KEY",
    "MISSING_KEY",
    "INVALID_VALUE",
    "EMPTY_ID",
    "INVALID_VERSION",
    # the graph
    "DUPLICATE_STATE_ID",
    "DUPLICATE_TRANSITION_ID",
    "DUPLICATE_SIGNAL",
    "UNREACHABLE_STATE",
    "DEAD_END_STATE",
    "EXIT_FROM_TERMINAL_STATE",
    # guards
    "UNREGISTERED_GUARD",
    "INVALID_GUARD_PARAMETERS",
    "GUARD_NOT_EVALUATED",
    # asking humans
    "INVALID_TEMPLATE",
    "APPROVAL_NEVER_ASKED",
    "NO_HUMAN_EXIT",
    "NO_APPROVERS",
    "QUORUM_OUT_OF_REACH",
    "QUORUM_WITHOUT_APPROVAL",
    "UNKNOWN_ANSWER",
    "AMBIGUOUS_ANSWERS",
    "ANSWER_NOT_OFFERED",
    "AI_MAY_DECIDE",
    "APPROVAL_BYPASS",
    "INVALID_ON_EXPIRY",
    "ON_EXPIRY_WITHOUT_TIME",
    "TIMES_OUT_OF_ORDER",
    "EMPTY_ESCALATION",
    "ESCALATION_NEED",
    "HOURS_TWICE",
    "INVALID_EDITABLE",
    # providers and effects
    "PROVIDER_NEVER_ASKED",
    "INVALID_PROVIDER_SIGNAL",
    "INVALID_RESULT_SIGNAL",
    "NO_FAILURE_PATH",
]

Severity = Literal["error", "warning"]
Place = tuple[str | int, ...]

#: What pydantic's strict types want, in words. Source: docs.pydantic.dev, errors/validation_errors.
_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "model_type": "a mapping of keys",
    "mapping_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "time_delta_type": "a duration such as 30m or 4h",
}

#: Characters of an offending text that a message repeats.
_QUOTED_MAX = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong. `path` is as written in the file, list indexes as numbers: ``transitions.2.guards.0.id``.

    An error keeps the definition from being used; a warning does not.
    """

    code: ProblemCode
    path: str
    message: str
    severity: Severity = "error"


def at(*place: str | int) -> str:
    """Return *place* as a path."""
    return ".".join(str(step) for step in place)


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean '...'?`` for the nearest of *known*, or nothing where none is near."""
    lowered = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), lowered, n=1)
    return f"; did you mean '{lowered[near[0]]}'?" if near else ""


def misfits(model: type[Value], data: Any, base: Place = ()) -> Iterator[tuple[Place, Problem]]:
    """
    Yield where *data*, plain JSON, does not have the shape of *model*: strictly, no type taken for another.

    Keys count only as the file format spells them (camelCase or the older spelling), never by our Python names.
    *base* is put before each path; the place beside each problem is relative to *data*.
    """
    try:
        # Strict python mode takes tuples for our tuples; it is what refuses "yes" as a boolean and true as a number.
        model.model_validate(_lists_as_tuples(data), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False)
        places = [detail["loc"] for detail in details]
        for detail in details:
            if not _follows_from_another(detail, places):
                place, problem = _in_words(model, detail)
                yield place, Problem(problem.code, at(*base, *place), problem.message)


def keys_of(model: type[Value]) -> list[str]:
    """Return every key *model* reads from a file, older spellings included."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        match field.validation_alias:
            case AliasChoices(choices=choices):
                keys += [choice for choice in choices if isinstance(choice, str)]
            case str() as alias:
                keys.append(alias)
            case _:
                keys.append(name)
    return keys


def _follows_from_another(detail: ErrorDetails, places: Sequence[Place]) -> bool:
    # A list whose items do not fit is also reported as too short; the items say it better.
    depth = len(detail["loc"])
    return detail["type"] == "too_short" and any(
        len(place) > depth and place[:depth] == detail["loc"] for place in places
    )


def _in_words(model: type[Value], detail: ErrorDetails) -> tuple[Place, Problem]:
    place: Place = detail["loc"]
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return place, _extra(model, place)
        case "missing":
            return place, Problem("MISSING_KEY", "", f"missing key '{place[-1]}'")
        case "string_too_short":
            return place, Problem("EMPTY_ID", "", "must not be empty")
        case "too_short":
            return place, Problem("INVALID_VALUE", "", "must not be an empty list")
        case "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            says = f"{_shown(value)} is none of {', '.join(known)}{suggestion(str(value), known)}"
            if place[-1] == "[key]":
                return place[:-1], Problem("UNKNOWN_KEY", "", f"key {says}")
            return place, Problem("INVALID_VALUE", "", says)
        case "value_error":
            return place, Problem("INVALID_VALUE", "", str(context["error"]))
        case kind if kind in _WANTED:
            quotes = "; put it in quotes" if kind == "string_type" and isinstance(value, (bool, int, float)) else ""
            return place, Problem("INVALID_VALUE", "", f"must be {_WANTED[kind]}, not {_shown(value)}{quotes}")
        case _:
            message = detail["msg"].replace("Input should be", "must be")
            return place, Problem("INVALID_VALUE", "", f"{message}, not {_shown(value)}")


def _extra(model: type[Value], place: Place) -> Problem:
    key, known = str(place[-1]), keys_of(_model_at(model, place[:-1]))
    if key in known:
        return Problem("DUPLICATE_KEY", "", f"key '{key}' says again what its other spelling says; keep one of the two")
    return Problem("UNKNOWN_KEY", "", f"unknown key '{key}'{suggestion(key, known)}")


def _model_at(model: type[Value], place: Place) -> type[Value]:
    here = model
    for step in place:
        for name, field in here.model_fields.items():
            alias = field.validation_alias
            spellings = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
            if step in spellings:
                here = _value_in(field.annotation) or here
                break
    return here


def _value_in(annotation: Any) -> type[Value] | None:
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return annotation
    return next((found for part in get_args(annotation) if (found := _value_in(part))), None)


def _lists_as_tuples(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: _lists_as_tuples(item) for key, item in value.items()}
        case list() | tuple():
            return tuple(_lists_as_tuples(item) for item in value)
        case _:
            return value


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value if len(value) <= _QUOTED_MAX else value[:_QUOTED_MAX] + "…")
        case int() | float():
            return f"the number {value}"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"
