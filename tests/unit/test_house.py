"""The house: what stands where, and what may know what. import-linter proves the layers; this proves the rest."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("loops", "channels", "providers", "gateway")

#: What the top level holds, and nothing else.
TOP = {
    "pyproject.toml",
    "README.md",
    "gateway",
    "channels",
    "providers",
    "loops",
    "tests",
    "Makefile",
    "requirements.lock",
    ".ci",
    ".gitignore",
    "LICENSE",
}


def _modules(package: str) -> Iterator[Path]:
    yield from (ROOT / package).rglob("*.py")


def _imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name.split(".")[0] for name in names)
            case ast.ImportFrom(module=str(name), level=0):
                yield name.split(".")[0]
            case ast.ImportFrom(level=level) if level:
                yield "a relative import"
            case _:
                pass


def _loaded_after(statement: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return {name.split(".")[0] for name in shown.stdout.split()}


def test_loops_import_the_standard_library_pydantic_and_cel_and_no_more() -> None:
    """The governance runtime stands on nothing that could drag a web framework, a store or a queue in."""
    allowed = {*sys.stdlib_module_names, "pydantic", "pydantic_core", "cel", "loops"}
    found = {(module.name, name) for module in _modules("loops") for name in _imported(module)}

    assert {(module, name) for module, name in found if name not in allowed} == set()


def test_importing_the_engine_loads_nothing_of_the_world() -> None:
    """What a module imports in passing counts too."""
    loaded = _loaded_after("import loops.engine, loops.checking")

    assert loaded.isdisjoint(
        {"redis", "rq", "starlette", "slack_sdk", "slack_bolt", "anthropic", "structlog", "httpx2"}
    )


@pytest.mark.parametrize("module", ["gateway.asgi", "gateway.cli"])
def test_the_gateway_process_loads_neither_rq_nor_a_model_client(module: str) -> None:
    """The relay lives in the workers, and a model's client costs a second and 40 MB: neither is loaded to serve."""
    assert _loaded_after(f"import {module}").isdisjoint({"rq", "anthropic"})


def test_the_command_line_loads_only_what_help_needs() -> None:
    """`loopgate --help` answers at once: no web framework, store or channel is loaded for it."""
    assert _loaded_after("import gateway.cli").isdisjoint({"redis", "starlette", "uvicorn", "slack_sdk", "aiohttp"})


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_root_package_imports_nothing(package: str) -> None:
    """The four packages are their docstrings."""
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))

    assert len(tree.body) == 1


def test_every_package_says_what_lives_in_it() -> None:
    """Each `__init__.py` tells what lives here and what does not, in more than a word."""
    inits = [init for package in PACKAGES for init in _modules(package) if init.name == "__init__.py"]
    docstrings = {
        str(init.relative_to(ROOT)): ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        for init in inits
    }

    assert len(docstrings) > 8
    assert [name for name, docstring in docstrings.items() if len(docstring) < 80] == []


def test_every_directory_with_modules_is_a_package() -> None:
    """A directory without `__init__.py` has nobody to say what lives there."""
    directories = {module.parent for package in PACKAGES for module in _modules(package)}

    assert [str(each.relative_to(ROOT)) for each in directories if not (each / "__init__.py").is_file()] == []


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    """Everything at the top is on the list, and everything on the list is there."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: what is tracked cannot be told")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")

    assert {name.split("/")[0] for name in listed if name} == TOP


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_called_utils(package: str) -> None:
    """A module is named for what it is about."""
    vague = {"utils", "util", "helpers", "common", "manager", "misc"}

    assert [str(module) for module in _modules(package) if module.stem in vague] == []
