"""
Presets: sources whose vendor we know, ready to be named. One YAML file per preset, named for it.

A preset says what a source under ``sources`` in ``loopgate.yaml`` may say (`gateway.intake.config`), without secrets;
what the source itself says comes first. To add one, add its file, a payload of the vendor's to
``tests/unit/intake/payloads``, and what it must mean to ``test_presets.py``.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gateway.marked.files import read_mapping
from loops.problems import suggestion

_HERE = Path(__file__).parent


def preset_names() -> list[str]:
    """Return the names of the presets there are."""
    return sorted(path.stem for path in _HERE.glob("*.yaml"))


@cache
def preset(name: str) -> Mapping[str, Any]:
    """
    Return what the preset *name* says.

    Raises:
        ValueError: If there is none of that name; the message says which there are.
    """
    known = preset_names()
    if name not in known:
        near = suggestion(name, known) or f"; there are {', '.join(known)}"
        raise ValueError(f"there is no preset '{name}'{near}")
    data, _ = read_mapping(_HERE / f"{name}.yaml")
    return data


def upon_preset(said: Any) -> Any:
    """
    Return what a source of ``loopgate.yaml`` says, with its preset's words where it has none of its own.

    Raises:
        ValueError: If it names a preset there is not; the message says which there are.
    """
    name = said.get("preset") if isinstance(said, Mapping) else None
    return {**preset(name), **said} if isinstance(name, str) else said
