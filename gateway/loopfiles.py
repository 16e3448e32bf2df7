"""Loop files: definitions on disk, read with line numbers, checked and gathered."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from gateway.marked.files import FileProblem, read_file, read_marked
from gateway.marked.marked import Marked
from loops.checking import check
from loops.definition import LoopDefinition
from loops.errors import Rejected
from loops.guards import Guard
from loops.problems import Problem, at, suggestion
from loops.runtime_guards import RUNTIME_GUARDS

#: File name endings of loop files.
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Found:
    """A problem with the file it stands in. `line` counts from 1."""

    path: str
    line: int
    problem: Problem

    def __str__(self) -> str:
        """``loops/change.yaml:41: error UNREGISTERED_GUARD transitions.2.guards.0.id: ...``."""
        problem = self.problem
        where = f" {problem.path}" if problem.path else ""
        return f"{self.path}:{self.line}: {problem.severity} {problem.code}{where}: {problem.message}"


@dataclass(frozen=True, slots=True)
class LoopFile:
    """One file as read. `definition` is None where any problem is an error."""

    path: str
    definition: LoopDefinition | None
    problems: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class LoadedLoops:
    """The definitions of several files, by id; fits `loops.ports.Definitions`. `warnings` are theirs."""

    definitions: Mapping[str, LoopDefinition]
    warnings: tuple[Found, ...] = ()

    def get(self, loop_id: str) -> LoopDefinition | None:
        """Return the definition of *loop_id*, or None."""
        return self.definitions.get(loop_id)

    def all(self) -> Mapping[str, LoopDefinition]:
        """Return every definition by id."""
        return self.definitions


class InvalidLoopFiles(Rejected):
    """Some loop files cannot be used. `problems` has every problem of every file, warnings too."""

    def __init__(self, problems: Iterable[Found]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(["Loop definition validation failed:", *(f"  {each}" for each in self.problems)]))


def read_loop_file(path: Path | str, *, guards: Mapping[str, Guard] = RUNTIME_GUARDS) -> LoopFile:
    """Read and check the loop file at *path*. What is wrong is in the problems; nothing is raised."""
    return _checked(str(path), lambda: read_file(Path(path)), guards)


def read_loop(content: bytes, name: str, *, guards: Mapping[str, Guard] = RUNTIME_GUARDS) -> LoopFile:
    """Read and check a loop file's *content*; its *name* says whether it is JSON, and heads every problem."""
    return _checked(name, lambda: read_marked(content, name), guards)


def load_directory(*places: Path | str, guards: Mapping[str, Guard] = RUNTIME_GUARDS) -> LoadedLoops:
    """
    Load the loop files at *places*: each a file, or a directory whose loop files count (not those further down).

    Raises:
        InvalidLoopFiles: If any file has an error, or two define one loop id. Lists all problems of all files.
    """
    loaded = (read_loop_file(path, guards=guards) for path in loop_files_at(places))
    return _together(loaded)


def load_library() -> LoadedLoops:
    """Load the loops Loopgate ships."""
    shelf = (entry for entry in (files("loops") / "library").iterdir() if entry.name.endswith(SUFFIXES))
    entries = sorted(shelf, key=lambda entry: entry.name)
    return _together(read_loop(entry.read_bytes(), f"loops/library/{entry.name}") for entry in entries)


def load_shipped(loop_ids: Sequence[str]) -> dict[str, LoopDefinition]:
    """
    Load those loops Loopgate ships for one vendor's webhooks (`loops/library/vendors`) that *loop_ids* name.

    Raises:
        KeyError: If there is none of an id; its only argument says which there are.
    """
    shelf = files("loops") / "library" / "vendors"
    definitions: dict[str, LoopDefinition] = {}
    for loop_id in loop_ids:
        known = sorted(entry.name.removesuffix(".yaml") for entry in shelf.iterdir() if entry.name.endswith(SUFFIXES))
        if loop_id not in known:
            near = suggestion(loop_id, known) or f"; there are {', '.join(known)}"
            raise KeyError(f"no loop '{loop_id}' is shipped{near}")
        entry = shelf / f"{loop_id}.yaml"
        definitions |= _together([read_loop(entry.read_bytes(), f"loops/library/vendors/{entry.name}")]).definitions
    return definitions


def _checked(name: str, read: Callable[[], Marked], guards: Mapping[str, Guard]) -> LoopFile:
    try:
        marked = read()
    except FileProblem as error:
        return LoopFile(name, None, (Found(name, error.line, Problem(error.code, "", error.reason)),))
    checked = check(marked.data, guards=guards)
    lines = {at(*place): line for place, line in marked.lines.items()}
    found = [Found(name, _line(lines, problem.path), problem) for problem in checked.problems]
    return LoopFile(name, checked.definition, tuple(sorted(found, key=lambda each: each.line)))


def _line(lines: Mapping[str, int], path: str) -> int:
    # What is missing is reported where it should stand: at the nearest thing around it.
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path, 1)


def loop_files_at(places: Iterable[Path | str]) -> Iterator[Path]:
    """Yield the loop files at *places*, each once: a file itself, a directory's own files in order of their names."""
    seen: set[Path] = set()
    for place in map(Path, places):
        inside = sorted(entry for entry in place.iterdir() if entry.suffix in SUFFIXES) if place.is_dir() else [place]
        for path in inside:
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def _together(loaded: Iterable[LoopFile]) -> LoadedLoops:
    definitions: dict[str, LoopDefinition] = {}
    sources: dict[str, str] = {}
    problems: list[Found] = []
    for file in loaded:
        problems += file.problems
        if file.definition is None:
            continue
        loop_id = file.definition.id
        if loop_id in sources:
            message = f"loop '{loop_id}' is defined in {sources[loop_id]} and in {file.path}; rename one"
            problems.append(Found(file.path, 1, Problem("DUPLICATE_LOOP_ID", "id", message)))
        sources.setdefault(loop_id, file.path)
        definitions.setdefault(loop_id, file.definition)
    if any(found.problem.severity == "error" for found in problems):
        raise InvalidLoopFiles(problems)
    return LoadedLoops(definitions, tuple(problems))
