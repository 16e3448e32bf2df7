"""The list of what a lint found wrong, worded and addressed as Slack does it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Report:
    """Collects messages such as ``[ERROR] must be less than 76 characters [json-pointer:/blocks/0/text/text]``."""

    messages: list[str] = field(default_factory=list)

    def add(self, path: str, wrong: str) -> None:
        """Note that the thing at *path* (a JSON pointer) is *wrong*."""
        self.messages.append(f"[ERROR] {wrong} [json-pointer:{path}]")

    def known(self, value: dict[str, Any], path: str, known: frozenset[str]) -> None:
        """Note every property of *value* that Slack does not know."""
        for name in value:
            if name not in known:
                self.add(path, f"no more properties are allowed, but found: {name}")

    def string(self, value: Any, path: str, maximum: int, *, minimum: int = 0) -> bool:
        """Note it when *value* is not a string of *minimum* to *maximum* characters; tells whether it is."""
        if not isinstance(value, str):
            self.add(path, "must be a string")
            return False
        if len(value) < minimum:
            self.add(path, f"must be more than {minimum - 1} characters")
            return False
        if len(value) > maximum:
            self.add(path, f"must be less than {maximum + 1} characters")
            return False
        return True

    def items(self, value: Any, path: str, maximum: int, *, minimum: int = 1) -> list[Any]:
        """Note it when *value* is not a list of *minimum* to *maximum* items; gives what items there are."""
        if not isinstance(value, list):
            self.add(path, "must be an array")
            return []
        if len(value) < minimum:
            self.add(path, f"no fewer than {minimum} items allowed")
        if len(value) > maximum:
            self.add(path, f"no more than {maximum} items allowed")
        return value
