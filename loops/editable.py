"""Editable values: what a policy lets approvers change, as rules that an answer can be held to."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from loops.editing import TEXT_MAX
from loops.patterns import BadPattern, compile_pattern
from loops.problems import Place, Problem, at, misfits
from loops.values import Value

#: Characters of the longest text that can be edited, and choices one value may have.
#: Source of both: docs.slack.dev, reference/block-kit (plain_text_input max_length, static_select options).
LONGEST_TEXT = 3_000
MOST_CHOICES = 100

_Bound = Annotated[float, Field(allow_inf_nan=False)]


def _without_null(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema, too, that null is refused: here None stands for a key that is left out."""
    for key, said in schema["properties"].items():
        given = [each for each in said.get("anyOf", ()) if each != {"type": "null"}]
        if len(given) == 1:
            schema["properties"][key] = {**given[0], "title": said["title"]}


class EditRule(Value):
    """
    What one value may become. The keys mean what they mean in JSON Schema.

    `minimum` and `maximum` bound numbers; `min_length`, `max_length` (characters) and `pattern` bound texts. Patterns
    are searched, and read as `loops.patterns` says.
    """

    model_config = ConfigDict(json_schema_extra=_without_null)

    type: Literal["integer", "number", "string", "boolean"] = "string"
    """What kind of value it is."""
    minimum: _Bound | None = None
    """The least number it may become."""
    maximum: _Bound | None = None
    """The greatest number it may become."""
    enum: Annotated[tuple[Any, ...], Field(min_length=1, max_length=MOST_CHOICES)] | None = None
    """The only values it may become."""
    min_length: Annotated[int, Field(ge=0, le=LONGEST_TEXT)] | None = None
    """The fewest characters a text may have."""
    max_length: Annotated[int, Field(ge=1, le=LONGEST_TEXT)] | None = None
    """The most characters a text may have."""
    pattern: str | None = None
    """A regular expression that must be found in a text."""

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, given: object) -> object:
        if given is None:
            raise ValueError("must not be null; leave the key out where it says nothing")
        return given


def editable_problems(editable: Mapping[str, Mapping[str, Any]], place: Place) -> Iterator[Problem]:
    """Yield what is wrong with the rules at *place*: shapes, bounds nobody can meet, patterns that are not safe."""
    for path, rule in editable.items():
        here = (*place, path)
        steps = path.split(".")
        if not path.isprintable() or not all(step and step == step.strip() for step in steps):
            message = f"'{path}' is no dotted path into the data, such as parameters.max_replicas"
            yield Problem("INVALID_EDITABLE", at(*here), message)
        outer = next((other for other in editable if path.startswith(f"{other}.")), None)
        if outer:
            yield Problem("INVALID_EDITABLE", at(*here), f"'{path}' lies inside '{outer}', which is editable itself")
        shape = [problem for _, problem in misfits(EditRule, rule, here)]
        yield from (Problem("INVALID_EDITABLE", problem.path, problem.message) for problem in shape)
        if not shape:
            yield from _contradictions(EditRule.model_validate(rule), rule, here)


def _contradictions(rule: EditRule, written: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    of_numbers, of_texts = ("minimum", "maximum"), ("minLength", "maxLength", "pattern")
    for keys, types in ((of_numbers, ("integer", "number")), (of_texts, ("string",))):
        for key in keys:
            if key in written and rule.type not in types:
                yield _problem((*place, key), f"'{key}' says nothing about a {rule.type}; remove it or change the type")
    if rule.minimum is not None and rule.maximum is not None and rule.minimum > rule.maximum:
        yield _problem((*place, "maximum"), f"{rule.maximum:g} is below the minimum {rule.minimum:g}")
    longest = rule.max_length or TEXT_MAX
    if rule.min_length is not None and rule.min_length > longest:
        yield _problem((*place, "minLength"), f"{rule.min_length} is more than the {longest} characters allowed")
    if rule.pattern is not None:
        try:
            compile_pattern(rule.pattern, longest=longest)
        except BadPattern as error:
            yield _problem((*place, "pattern"), str(error))
    for index, choice in enumerate(written.get("enum", ())):
        if not _fits(choice, rule):
            yield _problem((*place, "enum", index), f"{choice!r} is no {rule.type} within the other bounds")


def _fits(choice: Any, rule: EditRule) -> bool:
    match rule.type:
        case "boolean":
            return isinstance(choice, bool)
        case "string":
            return isinstance(choice, str) and (rule.min_length or 0) <= len(choice) <= (rule.max_length or TEXT_MAX)
        case "integer" if not isinstance(choice, int):
            return False
        case _:
            least, most = rule.minimum, rule.maximum
            is_number = isinstance(choice, (int, float)) and not isinstance(choice, bool)
            return is_number and (least is None or choice >= least) and (most is None or choice <= most)


def _problem(place: Place, message: str) -> Problem:
    return Problem("INVALID_EDITABLE", at(*place), message)
