"""Binding: a call's arguments as the JSON that people approve, and that JSON as the arguments of the call."""

import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from string import Formatter
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from gateway.client.errors import NotJson
from loops.canonical import NotCanonical, canonical_json, read_json
from loops.editing import Change

_FORMATTER = Formatter()


class Unfit(ValueError):  # noqa: N818 - what is wrong with the value
    """An edited argument does not fit the function's annotation. `argument` is its name."""

    def __init__(self, argument: str, why: str) -> None:
        super().__init__(f"argument '{argument}' does not fit its annotation: {why}")
        self.argument = argument


class Binding:
    """
    How the calls of one function are bound.

    Raises:
        TypeError: If `hidden` names what is no argument.
    """

    def __init__(self, function: Callable[..., Any], hidden: Collection[str]) -> None:
        self._function = function
        self._signature = inspect.signature(function)
        self._hidden = frozenset(hidden)
        self.named(hidden, "hidden")

    @property
    def shown(self) -> list[str]:
        """The names of the arguments that are approved."""
        return [name for name in self._signature.parameters if name not in self._hidden]

    def named(self, names: Collection[str], whose: str) -> None:
        """Raise TypeError where one of *names* is no argument of the function; *whose* says who named it."""
        if unknown := [name for name in names if name not in self._signature.parameters]:
            there = ", ".join(self._signature.parameters) or "none"
            told = f"{whose} names '{unknown[0]}', and {self._function.__qualname__} has the arguments {there}"
            raise TypeError(told)

    def template(self, text: str, whose: str) -> str:
        """Return *text* if every ``{name}`` in it is an argument that is approved. Raises TypeError otherwise."""
        for _, place, form, _ in _FORMATTER.parse(text):
            if place is not None and (place not in self.shown or "{" in (form or "")):
                told = f"{whose} has '{{{place}}}'; it may name {', '.join(self.shown) or 'no argument'}, and no more"
                raise TypeError(told)
        return text

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Return the call's arguments by name, defaults included. Raises TypeError as the call itself would."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound

    def parameters(self, bound: inspect.BoundArguments) -> dict[str, Any]:
        """
        Return the arguments as JSON of their own: what a caller changes later does not change what was asked.

        Raises:
            NotJson: If one has no canonical JSON form.
        """
        return {name: _as_json(name, bound.arguments[name]) for name in self.shown}

    def run_with(
        self, bound: inspect.BoundArguments, approved: Mapping[str, Any], changes: Collection[Change]
    ) -> inspect.BoundArguments:
        """
        Return the call whose arguments are the *approved* JSON, read by the function's annotations.

        What fits no annotation is passed as plain JSON, as it was approved; but not what somebody changed.

        Raises:
            Unfit: If an argument with *changes* does not fit.
        """
        changed = {each.path.partition(".")[0] for each in changes}
        arguments = dict(bound.arguments)
        for name in self.shown:
            value = approved[name]
            try:
                read = self._read(name, value)
            except ValidationError as error:
                if name in changed:
                    raise Unfit(name, error.errors(include_url=False)[0]["msg"]) from error
                read = value
            kind = self._signature.parameters[name].kind
            arguments[name] = tuple(read) if kind is inspect.Parameter.VAR_POSITIONAL else read
        return inspect.BoundArguments(self._signature, arguments)

    def _read(self, name: str, value: Any) -> Any:
        kind, hint = self._signature.parameters[name].kind, self._hints.get(name, Any)
        if kind is inspect.Parameter.VAR_POSITIONAL:
            hint = list[hint]  # type: ignore[valid-type]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            hint = dict[str, hint]  # type: ignore[valid-type]
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(hint)
        except PydanticUserError:
            return value
        return adapter.validate_json(canonical_json(value), strict=True)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(self._function, include_extras=True)
        except (NameError, TypeError):
            # Annotations for type checkers only cannot be judged by.
            return {}


def filled(template: str, parameters: Mapping[str, Any]) -> str:
    """Return *template* with the arguments in it: texts as they are, everything else as its JSON."""
    shown = {
        name: value if isinstance(value, str) else canonical_json(value).decode() for name, value in parameters.items()
    }
    return template.format_map(shown)


def _as_json(name: str, value: Any) -> Any:
    try:
        return read_json(canonical_json(value))
    except (NotCanonical, RecursionError) as error:
        raise NotJson(name, str(error).removeprefix("$")) from error
