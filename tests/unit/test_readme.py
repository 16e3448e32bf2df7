"""What the README says is so: its files load, its links lead somewhere, its settings are the settings."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browser.readme import README, ROOT, readme_file
from builders import an_instance

from gateway.configuration import load_configuration
from gateway.definitions import load_definitions
from gateway.loopfiles import read_loop_file
from gateway.settings import Settings
from loops import runtime_guards
from loops.actors import service
from loops.definition import GuardRule
from loops.guards import Guard, GuardContext
from loops.judging import Judge

_TEXT = README.read_text(encoding="utf-8")
#: Where a Markdown link or picture leads.
_LINK = re.compile(r"\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
#: A row of the settings table: name, default, meaning.
_SETTING = re.compile(r"^\| `(LOOPGATE_\w+)` \| (.*?) \|", re.MULTILINE)


def _heading_anchors() -> set[str]:
    """Return the anchors GitHub gives the README's headings."""
    headings = re.findall(r"^#+ (.+)$", _TEXT, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_loop_in_the_readme_has_15_lines_and_no_problem(tmp_path: Path) -> None:
    """`loopgate check` finds nothing in it, not even a warning."""
    shown = readme_file("scale.yaml")
    path = tmp_path / "scale.yaml"
    path.write_text(shown)
    read = read_loop_file(path)

    assert len(shown.splitlines()) == 15
    assert read.definition is not None
    assert read.problems == ()


def test_the_policy_in_the_readme_has_no_problem(tmp_path: Path) -> None:
    """Stages, edits and an approval of a transition are written as they are read."""
    path = tmp_path / "release.yaml"
    path.write_text(readme_file("release.yaml"))
    read = read_loop_file(path)

    assert read.problems == ()
    assert read.definition is not None
    [transition] = read.definition.transitions
    assert transition.approval is not None
    assert transition.approval.named() == "2 of sre, then 1 of finance"


def test_the_configuration_in_the_readme_fits_its_loop(tmp_path: Path) -> None:
    """The gateway starts on the two files as they stand there: every name in the loop resolves."""
    for name in ("scale.yaml", "loopgate.yaml"):
        (tmp_path / name).write_text(readme_file(name))
    configuration = load_configuration(tmp_path / "loopgate.yaml")
    loaded = load_definitions(configuration, tmp_path)

    assert list(loaded.all()) == ["service.scale"]
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("hour", "code"), [(7, "outside_office_hours"), (8, None), (16, None), (17, "outside_office_hours")]
)
async def test_the_guard_in_the_readme_judges(hour: int, code: str | None) -> None:
    """Written into `loops.runtime_guards` as it stands there and named as it says, it passes in office hours only."""
    scope = dict(vars(runtime_guards))
    exec(compile(readme_file("office_hours.py"), "office_hours.py", "exec"), scope)
    registry = {"office-hours": Guard(scope["HoursParameters"], scope["_office_hours"])}
    rule = GuardRule(id="office-hours", parameters={"first": 8, "last": 17})
    now = datetime(2026, 11, 23, hour, tzinfo=UTC)
    context = GuardContext(actor=service("ci"), evidence={}, instance=an_instance(), now=now)
    [verdict] = await Judge(registry).judge([rule], context)

    assert (verdict.passed, verdict.code) == (code is None, code)


def test_every_link_in_the_readme_leads_somewhere() -> None:
    """A file it links to is there, and so is a heading."""
    links = ["".join(found) for found in _LINK.findall(_TEXT)]
    inside = [link for link in links if not link.startswith("https://")]
    lost = [
        link
        for link in inside
        if not (link[1:] in _heading_anchors() if link.startswith("#") else (ROOT / link.partition("#")[0]).exists())
    ]

    assert len(inside) > 20
    assert lost == []


def test_every_test_named_in_the_readme_is_there() -> None:
    """A promise names its tests; each stands in the file that the link leads to."""
    named = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", _TEXT)
    lost = [name for name, path in named if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")]

    assert len(named) >= 9
    assert lost == []


def test_each_promise_has_a_test_named_after_it() -> None:
    """There are nine, and `test_promises.py` has one test for each, with the promise's own words for a name."""
    section = _TEXT.partition("## What it promises")[2].partition("\n## ")[0]
    promises = re.findall(r"^\d\. \*\*(.+?)\*\*", section, re.MULTILINE)
    names = ["test_" + "_".join(re.findall(r"\w+", promise.lower())) for promise in promises]
    tests = re.findall(r"^def (test_\w+)\(", (ROOT / "tests/e2e/test_promises.py").read_text(), re.MULTILINE)

    assert len(promises) == 9
    assert tests == names
    assert [name for name in names if f"[`{name}`](tests/e2e/test_promises.py)" not in section] == []


def test_the_settings_in_the_readme_are_the_settings() -> None:
    """Every setting is in the table, with its default, and nothing else."""
    shown = dict(_SETTING.findall(_TEXT))
    defaults = {
        f"LOOPGATE_{name}".upper(): "none" if field.default is None else f"`{_written(field.default)}`"
        for name, field in Settings.model_fields.items()
    }

    assert shown == defaults


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make ([a-z]+)", _TEXT, re.MULTILINE))))
def test_every_make_target_in_the_readme_is_there(target: str) -> None:
    """A command that a reader types exists."""
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
