"""The OpenAPI 3.1 document, made of the table and its models. Source: spec.openapis.org, OpenAPI 3.1.1."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import models_json_schema

from gateway.api.endpoint import Endpoint
from gateway.api.models import ProblemView
from gateway.backpressure import TooMuchWaits
from loops.values import Value

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_QUOTED = re.compile(r"`(\w+)`")
_REFS = "#/components/schemas/{model}"

# What any endpoint may be refused with, before its handler is asked.
_ALWAYS: Mapping[int, Sequence[str]] = {
    401: ("unauthenticated",),
    403: ("missing_scope",),
    422: ("bad_request",),
    429: ("rate_limited",),
    503: ("unavailable",),
}
_WITH_BODY: Mapping[int, Sequence[str]] = {
    400: ("malformed",),
    408: ("too_slow",),
    413: ("too_large",),
    415: ("unsupported_media_type",),
}

_WHERE_WORK_IS_OPENED: Mapping[int, Sequence[str]] = {503: (TooMuchWaits.code,)}

# Refusals that say when to come again. Source: RFC 9110, 10.2.3.
_LATER = {429, 503}
_RETRY_AFTER = {
    "Retry-After": {"description": "Come again after so many seconds.", "schema": {"type": "integer", "minimum": 0}}
}


def document(table: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """Return the document of *table*."""
    models = {model for endpoint in table for model in _models(endpoint)} | {ProblemView}
    modes = {"validation": _asked(table), "serialization": models - _asked(table)}
    inputs: Any = [(model, mode) for mode, chosen in modes.items() for model in sorted(chosen, key=str)]
    names, schemas = models_json_schema(inputs, by_alias=True, ref_template=_REFS)
    refs: dict[Any, str] = {model: ref["$ref"] for (model, _), ref in names.items()}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        path = _PARAMETER.sub(lambda found: f"{{{_camel(found[1])}}}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, refs, schemas["$defs"])
    said = {
        "openapi": "3.1.1",
        "info": {
            "title": "Loopgate",
            "version": version,
            "summary": "Agents and systems ask, a governed loop judges, humans decide, work runs once.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "le_ and 32 hexadecimal digits"}
            },
            "schemas": schemas["$defs"],
        },
    }
    told: dict[str, Any] = _told(said, _names(said))
    return told


def _models(endpoint: Endpoint) -> set[type[Value]]:
    answers = {model for model in endpoint.answers.values() if isinstance(model, type)}
    return answers | ({endpoint.body} if endpoint.body else set())


def _asked(table: Sequence[Endpoint]) -> set[type[Value]]:
    return {endpoint.body for endpoint in table if endpoint.body}


def _operation(endpoint: Endpoint, refs: Mapping[Any, str], defs: dict[str, Any]) -> dict[str, Any]:
    doc = (endpoint.handle.__doc__ or endpoint.summary).strip()
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": f"{doc}\n\nNeeds a key with the scope {' or '.join(endpoint.scopes)}.",
        "tags": [endpoint.tag],
        "parameters": [*_in_path(endpoint), *_in_query(endpoint, defs), *_in_headers(endpoint)],
        "responses": {**_answers(endpoint, refs), **_refusals(endpoint, refs)},
    }
    if endpoint.body:
        content = {"application/json": {"schema": {"$ref": refs[endpoint.body]}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _in_path(endpoint: Endpoint) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1}
    return [
        {"name": _camel(name), "in": "path", "required": True, "schema": schema}
        for name in _PARAMETER.findall(endpoint.path)
    ]


def _in_query(endpoint: Endpoint, defs: dict[str, Any]) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    schema = endpoint.query.model_json_schema(by_alias=True, ref_template=_REFS)
    defs |= schema.pop("$defs", {})
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": shape}
        for name, shape in schema["properties"].items()
    ]


def _in_headers(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.method != "POST":
        return []
    told = "The same key and request again get the same answer, for at least 24 hours; another request is refused."
    schema = {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"}
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "description": told, "schema": schema}]


def _answers(endpoint: Endpoint, refs: Mapping[Any, str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for status, model in endpoint.answers.items():
        content: dict[str, Any] = (
            {model: {}} if isinstance(model, str) else {"application/json": {"schema": {"$ref": refs[model]}}}
        )
        out[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return out


def _refusals(endpoint: Endpoint, refs: Mapping[Any, str]) -> dict[str, Any]:
    codes: dict[int, list[str]] = {}
    for source in (_ALWAYS, _WITH_BODY, endpoint.refusals, _WHERE_WORK_IS_OPENED if endpoint.opens_work else {}):
        for status, named in source.items():
            codes.setdefault(status, []).extend(named)
    problem = {"application/json": {"schema": {"$ref": refs[ProblemView]}}}
    return {
        str(status): {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(named)}",
            **({"headers": _RETRY_AFTER} if status in _LATER else {}),
            "content": problem,
        }
        for status, named in sorted(codes.items())
    }


def _names(node: Any) -> set[str]:
    """Return every name there is on the wire: of properties and of parameters."""
    match node:
        case {"properties": dict(properties)}:
            return {str(name) for name in properties}.union(*map(_names, node.values()))
        case {"name": str(name), "in": _}:
            return {name}
        case dict():
            return set().union(*map(_names, node.values()))
        case list():
            return set().union(*map(_names, node))
        case _:
            return set()


def _told(node: Any, names: set[str]) -> Any:
    """Return *node* with what descriptions quote of our models called as it is on the wire."""

    def on_the_wire(found: re.Match[str]) -> str:
        return f"`{_camel(found[1])}`" if _camel(found[1]) in names else found[0]

    match node:
        case {**members}:
            return {
                key: _QUOTED.sub(on_the_wire, value)
                if key in {"summary", "description"} and isinstance(value, str)
                else _told(value, names)
                for key, value in members.items()
            }
        case list():
            return [_told(each, names) for each in node]
        case _:
            return node


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
