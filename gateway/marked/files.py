"""Files of YAML or JSON: read whole, never more than so much, and every problem told with its place."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.marked.json_text import read_json
from gateway.marked.marked import Marked, UnreadableText
from gateway.marked.yaml_text import read_yaml
from loops.errors import Rejected
from loops.problems import Place, ProblemCode

#: Bytes of one file.
MAX_BYTES = 1024 * 1024

_SYNTAXES: dict[bool, tuple[str, ProblemCode]] = {True: ("JSON", "INVALID_JSON"), False: ("YAML", "INVALID_YAML")}


class FileProblem(Rejected):
    """A file cannot be read as data. The message is ``<path>:<line>: <reason>``; `line` counts from 1."""

    def __init__(self, path: str, line: int, code: ProblemCode, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path, self.line, self.code, self.reason = path, line, code, reason


def read_mapping(path: Path) -> tuple[Mapping[str, Any], Callable[[Place], int]]:
    """
    Return the mapping in the YAML or, by its name, JSON file at *path*, and what tells the line of a place in it.

    Raises:
        FileProblem: If it cannot be read, is not such a file, or holds something else than a mapping.
    """
    marked = read_marked(_content(path), str(path))
    if not isinstance(marked.data, Mapping):
        raise FileProblem(str(path), 1, "INVALID_VALUE", "the file must hold one mapping of keys")
    return marked.data, marked.line_of


def read_file(path: Path) -> Marked:
    """Return the data in the YAML or JSON file at *path*. Raises `FileProblem` as `read_mapping` does."""
    return read_marked(_content(path), str(path))


def read_marked(content: bytes, name: str) -> Marked:
    """Return the data in *content*: JSON where *name* ends so, else YAML. Raises `FileProblem`."""
    is_json = name.endswith(".json")
    try:
        return (read_json if is_json else read_yaml)(_text(content))
    except UnreadableText as error:
        syntax, code = _SYNTAXES[is_json]
        raise FileProblem(name, error.line, code, f"Invalid {syntax} syntax: {error}") from error


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            # A pipe or a device could keep us waiting for ever.
            raise FileProblem(str(path), 1, "UNREADABLE_FILE", "is not a regular file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileProblem(str(path), 1, "UNREADABLE_FILE", f"cannot be read: {error.strerror or error}") from error


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise UnreadableText(f"the file is larger than {MAX_BYTES} bytes", 1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableText(f"not UTF-8 at byte {error.start}", content.count(b"\n", 0, error.start) + 1) from error
