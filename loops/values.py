"""The base of every value in this package: frozen, strict about keys, camelCase when serialised."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache, cached_property
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from loops.canonical import Canonical, canonical_text
from loops.frozen import FrozenDict

#: Identifiers people write in loop files and systems send: no white space at the ends, never empty.
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


def _shared(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    return value if isinstance(value, FrozenDict) else check(value)


#: A JSON object as it travels in evidence, payloads and event bodies: a copy, but of one that nobody can change.
type_json_object = dict[str, Any]
JsonObject = Annotated[type_json_object, WrapValidator(_shared), Field(default_factory=dict)]

#: Every instant in the system is aware; naive times are refused.
Instant = AwareDatetime

#: Writes one instant as it stands in every JSON form.
INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


class Value(BaseModel, Canonical):
    """A frozen value. Unknown keys are refused; names are camelCase outside and snake_case inside."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        # NaN must stay NaN, so that canonical JSON refuses it: as null it would hash like something it is not.
        ser_json_inf_nan="constants",
    )

    def changed(self, **changes: Any) -> Self:
        """
        Return a copy with *changes* applied and validated; the value itself where they are what it has.

        `model_copy(update=...)` validates nothing, not even names; this does both.

        Raises:
            ValueError: If a name is not a field, or a value does not fit it.
        """
        fields = type(self).model_fields
        unknown = changes.keys() - fields.keys()
        if unknown:
            raise ValueError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        if all(getattr(self, name) is value for name, value in changes.items()):
            return self
        current = {name: getattr(self, name) for name in fields}
        return type(self).model_validate(current | changes)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; what was derived from the fields before a change is derived anew."""
        copy = super().model_copy(update=update, deep=deep)
        if update:
            for name in copy.__dict__.keys() - type(self).model_fields.keys():
                del copy.__dict__[name]
        return copy

    @classmethod
    def trusting(cls, fields: dict[str, Any]) -> Self:
        """
        Return the value that has *fields*, without a look at them; the dict is the value's own from then on.

        All fields must be there; what was derived from them may be, where it still holds.
        For what hot paths make of values that were checked where they came in; each has a test that checks the result.
        """
        made = cls.__new__(cls)
        set_field = object.__setattr__
        set_field(made, "__dict__", fields)
        set_field(made, "__pydantic_fields_set__", _names(cls))
        set_field(made, "__pydantic_extra__", None)
        set_field(made, "__pydantic_private__", None)
        return made

    def as_json(self) -> dict[str, Any]:
        """Return the camelCase JSON form; absent optional values are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def as_digested(self) -> dict[str, Any]:
        """
        Return the JSON form without what stands at its default: what digests of content are made over.

        A field that a later version adds, with a default, changes no digest of what was written before it.
        """
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)

    @cached_property
    def canonical(self) -> str:
        """The canonical JSON (RFC 8785) of the value, made once: an actor stands in many events."""
        return canonical_text(self.as_json())


@cache
def _names(kind: type[Value]) -> set[str]:
    # One set for all values: pydantic changes it where a field is set, and no field of a frozen value is.
    return set(kind.__pydantic_fields__)


def dotted(source: Mapping[str, Any], path: str) -> Any:
    """Return what stands at the dotted *path* in nested mappings, or None where a step is missing."""
    here: Any = source
    for step in path.split("."):
        if not isinstance(here, (dict, Mapping)) or step not in here:
            return None
        here = here[step]
    return here


def nested(by_path: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted path as they stand in nested mappings; a later path wins over an earlier one."""
    out: dict[str, Any] = {}
    for path, value in by_path.items():
        *steps, last = path.split(".")
        here = out
        for step in steps:
            below = here.get(step)
            here[step] = here = below if isinstance(below, dict) else {}
        here[last] = value
    return out
