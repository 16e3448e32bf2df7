"""
Expressions in CEL, conditions and values, compiled when a file is read and bounded in what they may cost.

The library evaluates on the caller's thread and cannot be stopped from outside, so the bounds are ours. An expression
is short and flat; a regular expression is written in it, never taken from data (one of 256 kB took eight minutes);
`map` is not offered (it is quadratic and lets values grow). Every macro that goes through a list counts its steps:
data decides how long a list is, and nested lists multiply.

Source: github.com/google/cel-spec, doc/langdef.md; the figures are measured with common-expression-language 0.10.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from loops.problems import suggestion

if TYPE_CHECKING:
    from cel import Program

#: Characters an expression may have, and how deep its brackets may nest. The parser gives up at some 90 levels.
MAX_LENGTH = 1_000
MAX_DEPTH = 16

#: Additions an expression may have: each may copy a text of 256 kB.
MAX_ADDITIONS = 16

#: Steps through lists one evaluation may take, and how long it may compute. A step takes about 1.5 µs.
MAX_STEPS = 10_000
MAX_CPU_NS = 50_000_000

#: Values, and characters of text, an evaluation may be given; 20,000 values are handed over in some 20 ms.
MAX_VALUES = 20_000
MAX_CHARACTERS = 1_000_000

#: What an expression in a loop file can name.
ROOTS = ("actor", "approvals", "data", "evidence", "instance", "now")

_MACROS = {
    # Once the steps are used up, each ends in the way its macro ends soonest.
    "all": ("_step_() && (", ")"),
    "exists": ("!_step_() || (", ")"),
    "exists_one": ("_step_() ? (", ") : 1/0 == 1"),
    "existsOne": ("_step_() ? (", ") : 1/0 == 1"),
    "filter": ("_step_() ? (", ") : 1/0 == 1"),
}
_FUNCTIONS = (
    *("bytes", "contains", "double", "duration", "dyn", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek"),
    *("getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "int"),
    *("matches", "size", "startsWith", "string", "timestamp", "type", "uint"),
)
_TYPES = ("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint")

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*)
    |(?P<text>(?:[bB]?[rR][bB]?(?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|"[^"\n]*")
        |[bB]?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^\\'\n])*'|"(?:\\.|[^\\"\n])*")))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][A-Za-z0-9_]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_PARSE_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")


class ExpressionError(ValueError):
    """The expression cannot be used, or has no value on this data; the message says why and, at load, where."""


class MissingKey(ExpressionError):  # noqa: N818 - the state it reports
    """The expression names something that is not there."""


class TooCostly(ExpressionError):  # noqa: N818 - the state it reports
    """The evaluation would cost more than a guard may."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What was compiled. `roots` are the variables it names: nothing else need be given."""

    text: str
    roots: tuple[str, ...]
    _program: "Program"

    def holds(self, variables: Mapping[str, Any], cpu_ns: Callable[[], int] = time.thread_time_ns) -> bool:
        """
        Return whether the condition is true of *variables*: JSON, with `now` as an aware instant.

        *cpu_ns* tells the time this thread has computed, in nanoseconds: a busy machine makes no guard fail.

        Raises:
            TooCostly: If the data is too large, or going through it takes too many steps or too long.
            ExpressionError: If it comes to an error, such as a key that is not there, or to no truth value.
        """
        found = self.value(variables, cpu_ns)
        if not isinstance(found, bool):
            raise ExpressionError(f"it comes to {type(found).__name__}, not to true or false")
        return found

    def value(self, variables: Mapping[str, Any], cpu_ns: Callable[[], int] = time.thread_time_ns) -> Any:
        """
        Return what the expression comes to on *variables*, as the CEL library spells it: `datetime` for a timestamp.

        Raises:
            TooCostly: As `holds`.
            MissingKey: If it names a key that is not there.
            ExpressionError: If it comes to any other error.
        """
        from cel import Context  # noqa: PLC0415 - see compile_expression

        _weigh(variables)
        meter = _Meter(cpu_ns, cpu_ns() + MAX_CPU_NS)
        found: Any = None
        failure: Exception | None = None
        try:
            found = self._program.execute(Context(dict(variables), {"_step_": meter.step}))
        except Exception as error:
            failure = error
        if meter.is_empty:
            raise TooCostly(f"it takes more than {MAX_STEPS:,} steps, or too long, on this data")
        if failure is not None:
            kind = MissingKey if isinstance(failure, KeyError) else ExpressionError
            raise kind(_said(failure)) from failure
        return found


@dataclass(slots=True)
class _Meter:
    cpu_ns: Callable[[], int]
    until_ns: int
    left: int = MAX_STEPS
    is_empty: bool = field(default=False)

    def step(self) -> bool:
        self.left -= 1
        if self.left < 0 or self.cpu_ns() > self.until_ns:
            self.is_empty = True
        return not self.is_empty


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(slots=True)
class _Bracket:
    macro: str | None
    has_comma: bool = False


@lru_cache(maxsize=1_024)
def compile_expression(text: str, roots: tuple[str, ...] = ROOTS) -> Expression:
    """
    Return the condition or value *text* says; it may name *roots* and nothing else.

    Raises:
        ExpressionError: If it is no CEL, names what an expression cannot name, or may cost too much. The message
            begins with line and column where the fault has a place.
    """
    # Imported here: it brings a command line of its own, 0.2 s and 20 MB, which only a loop that uses it should pay.
    from cel import compile as compile_cel  # noqa: PLC0415

    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"{len(text)} characters; at most {MAX_LENGTH} are accepted")
    tokens = [
        _Token(match.lastgroup or "sign", match.group(), match.start())
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "blank"
    ]
    # First: it keeps from the parser what its depth or its size could hurt.
    _check_size(text, tokens)
    try:
        written = compile_cel(text)
    except Exception as error:
        raise ExpressionError(_parse_error(str(error))) from error
    bound = _bound_names(tokens)
    _check_names(text, tokens, written.variables(), written.functions(), bound, roots)
    _check_patterns(text, tokens, compile_cel)
    named = tuple(name for name in written.variables() if name in roots and name not in bound)
    return Expression(text, named, compile_cel(_metered(text, tokens)))


def _check_size(text: str, tokens: Sequence[_Token]) -> None:
    depth = 0
    for token in tokens:
        if token.kind == "sign" and token.text in "([{":
            depth += 1
        elif token.kind == "sign" and token.text in ")]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise _fault(text, token.at, f"brackets are nested deeper than {MAX_DEPTH} levels")
    additions = [token for token in tokens if token.text == "+"]
    if len(additions) > MAX_ADDITIONS:
        raise _fault(text, additions[MAX_ADDITIONS].at, f"more than {MAX_ADDITIONS} additions")


def _check_names(
    text: str,
    tokens: Sequence[_Token],
    variables: Sequence[str],
    functions: Sequence[str],
    bound: Mapping[str, int],
    roots: Sequence[str],
) -> None:
    for token, following in pairwise(tokens):
        if (token.kind, token.text, following.text) == ("name", "map", "("):
            raise _fault(text, token.at, "'map' is not offered; use exists, all or filter")
    for name, place in bound.items():
        if name in roots or name.startswith("_"):
            raise _fault(text, place, f"'{name}' cannot be used as the name of an item; choose another")
    for name in variables:
        if name not in (*roots, *_TYPES, *bound):
            near = suggestion(name, roots) or f"; there are {', '.join(roots)}"
            raise _fault(text, _first(tokens, name), f"there is no '{name}' in an expression{near}")
    for called in functions:
        # A dot in front is CEL for the function of that name itself: no macro, whatever its name.
        name = called.removeprefix(".")
        if name in _MACROS:
            said = f"'{name}' goes through a list: write LIST.{name}(item, condition)"
            raise _fault(text, _first(tokens, name), said)
        if name.isidentifier() and name not in _FUNCTIONS:
            near = suggestion(name, (*_FUNCTIONS, *_MACROS))
            raise _fault(text, _first(tokens, name), f"there is no function '{name}' in an expression{near}")


def _check_patterns(text: str, tokens: Sequence[_Token], compile_cel: Callable[[str], "Program"]) -> None:
    for index, token in enumerate(tokens):
        if (token.kind, token.text) != ("name", "matches") or [t.text for t in tokens[index + 1 : index + 2]] != ["("]:
            continue
        argument = tokens[index + 2 : index + 4]
        if [t.kind for t in argument] != ["text", "sign"] or argument[1].text != ")":
            raise _fault(text, token.at, "the pattern of 'matches' must be written here as text, never taken from data")
        try:
            compile_cel(f"''.matches({argument[0].text})").execute({})
        except Exception as error:
            raise _fault(text, argument[0].at, f"the pattern of 'matches' cannot be used: {_said(error)}") from error


def _bound_names(tokens: Sequence[_Token]) -> dict[str, int]:
    """Return the names macros give to items, with where each first stands."""
    bound: dict[str, int] = {}
    for index in range(len(tokens) - 4):
        dot, macro, opening, name, comma = tokens[index : index + 5]
        if (dot.text, opening.text, comma.text) == (".", "(", ",") and macro.text in _MACROS and name.kind == "name":
            bound.setdefault(name.text, name.at)
    return bound


def _metered(text: str, tokens: Sequence[_Token]) -> str:
    """Return *text* with every macro's body counting its steps."""
    out: list[str] = []
    end = 0
    brackets: list[_Bracket] = []

    def put(upto: int, added: str) -> None:
        nonlocal end
        out.append(text[end:upto] + added)
        end = upto

    for index, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text in "([{":
            before = [t.text for t in tokens[max(index - 2, 0) : index]]
            is_macro = token.text == "(" and len(before) == 2 and before[0] == "." and before[1] in _MACROS
            brackets.append(_Bracket(before[1] if is_macro else None))
        elif token.text in ")]}":
            macro = brackets.pop().macro
            if macro:
                put(token.at, _MACROS[macro][1])
        elif token.text == "," and brackets and brackets[-1].macro and not brackets[-1].has_comma:
            brackets[-1].has_comma = True
            put(token.at + 1, " " + _MACROS[brackets[-1].macro][0])
    return "".join(out) + text[end:]


def _first(tokens: Sequence[_Token], name: str) -> int:
    return next((token.at for token in tokens if token.text == name), 0)


def _fault(text: str, at: int, message: str) -> ExpressionError:
    before = text[:at]
    return ExpressionError(f"line {before.count(chr(10)) + 1}, column {at - before.rfind(chr(10))}: {message}")


def _parse_error(said: str) -> str:
    found = _PARSE_ERROR.search(said)
    if found is None:
        return "it is no CEL expression"
    line, column, message = found.groups()
    return f"line {line}, column {column}: {message.partition(' expecting {')[0]}"


def _said(error: Exception) -> str:
    # Only what was missing may come from data; it is short, and it can be seen.
    if isinstance(error, KeyError):
        return f"there is no key {str(error)[:80]!r}"
    first = str(error).partition("\n")[0].partition(". ")[0]
    return "".join(c if c.isprintable() else " " for c in first)[:160]


def _weigh(variables: Mapping[str, Any]) -> None:
    values = characters = 0
    waiting: list[Any] = [variables]
    while waiting:
        here = waiting.pop()
        values += 1
        if isinstance(here, str):
            characters += len(here)
        elif isinstance(here, (list, tuple)):
            waiting.extend(here)
        elif isinstance(here, (dict, Mapping)):
            characters += sum(map(len, here))
            waiting.extend(here.values())
        if values + len(waiting) > MAX_VALUES or characters > MAX_CHARACTERS:
            raise TooCostly(f"the data has more than {MAX_VALUES:,} values or {MAX_CHARACTERS:,} characters")
