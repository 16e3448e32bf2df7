"""Module guards come from installed distributions; what cannot be used is named at boot."""

import importlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from builders import an_instance

from gateway.guards.entry_points import BrokenGuard, load_guards
from loops.actors import service
from loops.checking import check
from loops.definition import GuardRule
from loops.guards import GuardContext
from loops.judging import Judge
from loops.runtime_guards import RUNTIME_GUARDS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

OFFICE_HOURS = """
from loops.guards import Failed, Guard, GuardContext
from loops.values import Value

class Window(Value):
    start_hour: int = 8

async def judge(context: GuardContext, window: Window) -> Failed | None:
    return None if context.now.hour >= window.start_hour else Failed("outside_office_hours", "Nobody is in yet.")

office_hours = Guard(Window, judge)
"""

Install = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place where distributions are installed, on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Install a distribution the way an installer does: a wheel, unpacked where Python looks."""

    def installed(name: str, module: str, source: str, *entries: str, version: str = "1.2.0") -> None:
        wheel = site / f"{name}-{version}-py3-none-any.whl"
        info = f"{name}-{version}.dist-info"
        with ZipFile(wheel, "w") as archive:
            archive.writestr(f"{module}.py", source)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/entry_points.txt", "[loopgate.guards]\n" + "\n".join(entries) + "\n")
            archive.writestr(f"{info}/RECORD", "")
        with ZipFile(wheel) as archive:
            archive.extractall(site)
        wheel.unlink()
        importlib.invalidate_caches()

    return installed


async def test_an_installed_guard_judges(install: Install) -> None:
    """What a distribution registers is checked and asked like any guard, as a module guard."""
    install("acme_guards", "acme_guards", OFFICE_HOURS, "office-hours = acme_guards:office_hours")
    guards = {**RUNTIME_GUARDS, **load_guards()}
    rule = GuardRule(id="office-hours", evaluated_by="module", parameters={"startHour": 13})

    (verdict,) = await Judge(guards).judge([rule], GuardContext(service("ci"), {}, an_instance(), NOW))

    assert (verdict.code, verdict.message) == ("outside_office_hours", "Nobody is in yet.")
    assert (verdict.evaluated_by, verdict.parameters) == ("module", {"startHour": 13})


@pytest.mark.parametrize(
    ("rule", "code", "message"),
    [
        ({"evaluatedBy": "module"}, None, None),
        (
            {},
            "UNREGISTERED_GUARD",
            "transition 'end' names guard 'office-hours', which is not registered; "
            "the module guard of this name is, so write evaluatedBy: module",
        ),
        (
            {"evaluatedBy": "module", "parameters": {"startHour": "8"}},
            "INVALID_GUARD_PARAMETERS",
            "guard 'office-hours': must be a whole number, not '8'",
        ),
        (
            {"id": "office-hour", "evaluatedBy": "module"},
            "UNREGISTERED_GUARD",
            "transition 'end' names guard 'office-hour', which is not registered; did you mean 'office-hours'?",
        ),
    ],
)
def test_a_loop_file_names_it_by_what_it_is(
    install: Install, rule: dict[str, Any], code: str | None, message: str | None
) -> None:
    """A module guard is found under its name and its kind, and its parameters are held to its own model."""
    install("acme_guards", "acme_guards", OFFICE_HOURS, "office-hours = acme_guards:office_hours")
    data = {
        "id": "one",
        "version": "1.0.0",
        "initialState": "OPEN",
        "states": [{"id": "OPEN"}, {"id": "DONE", "isTerminal": True}],
        "transitions": [
            {"id": "end", "from": "OPEN", "to": "DONE", "actors": ["human"], "guards": [{"id": "office-hours", **rule}]}
        ],
    }

    problems = check(data, guards={**RUNTIME_GUARDS, **load_guards()}).problems

    assert [(problem.code, problem.message) for problem in problems] == ([(code, message)] if code else [])


@pytest.mark.parametrize(
    ("source", "entry", "reason"),
    [
        ("raise RuntimeError('no')", "x = acme_broken:it", "cannot be loaded: RuntimeError: no"),
        ("raise SystemExit(3)", "x = acme_broken:it", "cannot be loaded: SystemExit: 3"),
        ("", "x = acme_broken:it", "cannot be loaded: AttributeError: module 'acme_broken' has no attribute 'it'"),
        ("", "x = acme_missing:it", "cannot be loaded: ModuleNotFoundError: No module named 'acme_missing'"),
        ("def it(): ...", "x = acme_broken:it", "is function; it must be a loops.guards.Guard"),
        (
            "from loops.guards import Guard\nit = Guard(dict, lambda *_: None)",
            "x = acme_broken:it",
            ": its parameters must be a class derived from loops.values.Value",
        ),
        (
            "from loops.guards import Guard, NoParameters\nit = Guard(NoParameters, None)",
            "x = acme_broken:it",
            ": its judge cannot be called",
        ),
    ],
)
def test_a_broken_guard_is_named_at_boot(install: Install, source: str, entry: str, reason: str) -> None:
    """The message says which distribution brought which guard, and what is wrong with it."""
    install("acme_broken", "acme_broken", source, entry)

    with pytest.raises(BrokenGuard) as caught:
        load_guards()

    told = str(caught.value)
    assert told.startswith(f"guard 'x' of acme_broken 1.2.0 ({entry.partition(' = ')[2]})")
    assert told.endswith(reason)


def test_one_name_means_one_guard(install: Install) -> None:
    """Two distributions cannot bring guards of one name, and none can stand in for a runtime guard."""
    install("acme_guards", "acme_guards", OFFICE_HOURS, "office-hours = acme_guards:office_hours")
    install("acme_more", "acme_more", OFFICE_HOURS, "office-hours = acme_more:office_hours")
    with pytest.raises(BrokenGuard, match=r"has the name of a guard of acme_(guards|more) 1\.2\.0"):
        load_guards()

    install("acme_more", "acme_more", OFFICE_HOURS, "human-only = acme_more:office_hours")
    with pytest.raises(BrokenGuard, match="has the name of a guard of Loopgate itself"):
        load_guards()


def test_without_such_distributions_there_are_none() -> None:
    """Nothing installed, nothing registered."""
    assert load_guards() == {}
