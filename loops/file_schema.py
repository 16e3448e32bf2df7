"""
The file schema: a JSON Schema of loop files, for editors to complete and check against.

Made from the models, so that it cannot say anything else than they do; shipped as ``schema/loop.schema.json``, which
`loopgate check --schema` prints anew. It knows shapes: both spellings, unknown keys, types, bounds, the parameters of
the runtime guards. What it cannot know, such as whether a state can be reached, is `loops.checking`'s.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, get_args

from pydantic import AliasChoices

from loops.checking import SEMVER
from loops.definition import LoopDefinition
from loops.editable import EditRule
from loops.guards import Guard
from loops.runtime_guards import RUNTIME_GUARDS
from loops.values import Value

#: Keys whose value may be nothing at all, as their default is made from another key.
_MADE_FROM_ID = {("LoopDefinition", "name"), ("State", "label"), ("Transition", "signal")}

#: What the actor type of the canonical Loop Engine files is called here.
_WEBHOOK = {"const": "webhook", "description": "The older name of automation."}

_Schema = dict[str, Any]


def file_schema(guards: Mapping[str, Guard] = RUNTIME_GUARDS) -> _Schema:
    """Return the JSON Schema (2020-12) of a loop file that may name *guards*."""
    others: list[type[Value]] = [EditRule, *(guard.parameters for guard in guards.values())]
    roots: list[type[Value]] = [LoopDefinition, *others]
    models = {model.__name__: model for root in roots for model in _models(root)}
    made = LoopDefinition.model_json_schema(by_alias=True)
    parts: _Schema = made.pop("$defs")
    for other in others:
        parts |= _own(other)
    for name, part in [*parts.items(), ("LoopDefinition", made)]:
        _finish(part, models.get(name))
    parts["ApprovalPolicy"]["properties"]["editable"]["additionalProperties"] = {"$ref": "#/$defs/EditRule"}
    parts["Transition"]["properties"]["actors"]["items"] = _actor_types(parts["Transition"])
    parts["Transition"]["properties"]["allowedActors"]["items"] = _actor_types(parts["Transition"])
    parts["GuardRule"]["allOf"] = [*parts["GuardRule"].get("allOf", ()), *_guard_parameters(guards)]
    _with_hints(parts["GuardRule"], "id", sorted(guards))
    made["properties"]["version"]["pattern"] = f"^{SEMVER.pattern}$"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Loop definition",
        **{key: value for key, value in made.items() if key != "title"},
        "$defs": dict(sorted(parts.items())),
    }


def file_schema_json() -> str:
    """Return the schema of files that name the guards every installation has, as the text that is shipped."""
    return json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"


def _own(model: type[Value]) -> _Schema:
    part = model.model_json_schema(by_alias=True)
    inner: _Schema = part.pop("$defs", {})
    return {model.__name__: part, **inner}


def _models(model: type[Value]) -> Iterator[type[Value]]:
    """Yield *model* and every model inside it."""
    waiting, seen = [model], {model}
    while waiting:
        here = waiting.pop()
        yield here
        for field in here.model_fields.values():
            new = set(_models_in(field.annotation)) - seen
            seen |= new
            waiting += new


def _models_in(annotation: Any) -> Iterator[type[Value]]:
    if isinstance(annotation, type) and issubclass(annotation, Value):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _finish(part: _Schema, model: type[Value] | None) -> None:
    """Make what pydantic wrote say all that the file format says, in fewer words."""
    part.pop("title", None)
    if "description" in part:
        part["description"] = inspect.cleandoc(part["description"])
    properties: dict[str, _Schema] = part.get("properties", {})
    for key, schema in properties.items():
        schema.pop("title", None)
        if "default" in schema and schema["default"] in (None, "", [], {}):
            del schema["default"]
        properties[key] = _plainer(schema)
    if model:
        _say(part, model)
        _both_spellings(part, model)
    for key, schema in properties.items():
        if model and (model.__name__, key) in _MADE_FROM_ID:
            schema["type"] = [schema["type"], "null"]
            part["required"] = [each for each in part.get("required", ()) if each != key]
    if not part.get("required", True):
        del part["required"]


def _plainer(schema: Any) -> Any:
    """Return *schema* with ``anyOf: [x, null]`` as one type where that says the same, and no blank identifiers."""
    match schema:
        case {"anyOf": [{"type": str() as kind, **inner}, {"type": "null"}], **rest}:
            return _plainer({**rest, "type": [kind, "null"], **inner})
        case {"type": "string", "minLength": 1}:
            return {**schema, "pattern": r"\S"}
        case {"type": ["string", "null"], "minLength": 1}:
            return {**schema, "pattern": r"\S"}
        case dict():
            return {key: _plainer(value) for key, value in schema.items()}
        case list():
            return [_plainer(value) for value in schema]
        case _:
            return schema


def _say(part: _Schema, model: type[Value]) -> None:
    """Give each property the docstring of its field."""
    says = _field_docs(model)
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        key = next(iter(alias.choices)) if isinstance(alias, AliasChoices) else alias
        if name in says and isinstance(key, str):
            part["properties"][key]["description"] = says[name]


def _field_docs(model: type[Value]) -> dict[str, str]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    says: dict[str, str] = {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for field, after in pairwise(body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                says[name] = inspect.cleandoc(text)
            case _:
                pass
    return says


def _both_spellings(part: _Schema, model: type[Value]) -> None:
    for field in model.model_fields.values():
        if not isinstance(field.validation_alias, AliasChoices):
            continue
        newer, older = (str(choice) for choice in field.validation_alias.choices)
        part["properties"][older] = {**part["properties"][newer], "description": f"The older spelling of `{newer}`."}
        if newer in part.get("required", ()):
            part["required"] = [key for key in part["required"] if key != newer]
            one: _Schema = {"oneOf": [{"required": [newer]}, {"required": [older]}]}
        else:
            one = {"not": {"required": [newer, older]}}
        part["allOf"] = [*part.get("allOf", ()), one]


def _actor_types(transition: _Schema) -> _Schema:
    return {"anyOf": [transition["properties"]["actors"]["items"], _WEBHOOK]}


def _with_hints(part: _Schema, key: str, hints: list[str]) -> None:
    part["properties"][key]["examples"] = hints


def _guard_parameters(guards: Mapping[str, Guard]) -> Iterator[_Schema]:
    for guard_id, guard in sorted(guards.items()):
        names = [{"properties": {key: {"const": guard_id}}, "required": [key]} for key in ("id", "guardId")]
        fits: _Schema = {"properties": {"parameters": {"$ref": f"#/$defs/{guard.parameters.__name__}"}}}
        if any(field.is_required() for field in guard.parameters.model_fields.values()):
            fits["required"] = ["parameters"]
        yield {"if": {"anyOf": names, "properties": {"evaluatedBy": {"const": "runtime"}}}, "then": fits}
