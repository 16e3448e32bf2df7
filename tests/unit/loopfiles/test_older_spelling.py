"""Files of the Loop Engine family, in its older spelling, load as they are."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gateway.loopfiles import load_directory, read_loop_file
from gateway.marked.files import read_file
from loops.file_schema import file_schema
from loops.runtime_guards import RUNTIME_GUARDS

OLDER = Path(__file__).parent / "older"


def test_older_files_load_with_their_warnings() -> None:
    """Every file of the family loads; what it leaves open is said as warnings, each at its line."""
    loaded = load_directory(OLDER)

    assert sorted(loaded.all()) == [
        "billing.invoice_dunning",
        "sales.lead_check",
        "stock.reorder",
        "support.case_handling",
    ]
    assert [(Path(found.path).name, found.line, found.problem.code) for found in loaded.warnings] == [
        ("case_handling.yaml", 27, "GUARD_NOT_EVALUATED"),
        ("invoice_dunning.yaml", 37, "GUARD_NOT_EVALUATED"),
        ("invoice_dunning.yaml", 53, "GUARD_NOT_EVALUATED"),
        ("stock_reorder.yaml", 18, "DEAD_END_STATE"),
        ("stock_reorder.yaml", 34, "GUARD_NOT_EVALUATED"),
    ]


def test_older_files_mean_what_they_say() -> None:
    """No name, no label, the actor `webhook`, what other loops it may start: each has its meaning here."""
    definition = load_directory(OLDER).all()["stock.reorder"]

    assert definition.name == "stock.reorder"
    assert definition.state("PROPOSED").label == "PROPOSED"
    assert definition.state("CONFIRMED").is_terminal
    assert definition.exits("ORDERED")[0].actors == ("automation",)
    assert definition.exits("ORDERED")[0].signal == "confirm"
    assert definition.spawnable_loops == ["supply.receipt"]
    assert definition.participants == ["supply.demand", "supply.buying"]


def test_an_error_state_may_be_an_end_or_a_trap() -> None:
    """Both load; only the one that nothing leads out of is warned about."""
    loaded = load_directory(OLDER)
    end = loaded.all()["billing.invoice_dunning"].state("WRITTEN_OFF")
    trap = loaded.all()["stock.reorder"].state("DISPUTED")

    assert (end.is_terminal, end.is_error) == (True, True)
    assert (trap.is_terminal, trap.is_error) == (False, True)
    assert [found.problem.message for found in loaded.warnings if found.problem.code == "DEAD_END_STATE"] == [
        "DISPUTED is not terminal but nothing leads out of it; add an exit or make it terminal"
    ]


@pytest.mark.parametrize("path", sorted(OLDER.iterdir()), ids=lambda path: path.name)
def test_older_files_fit_the_schema_editors_use(path: Path) -> None:
    """An editor finds nothing wrong in a file of the family."""
    data = read_file(path).data

    assert [error.message for error in Draft202012Validator(file_schema()).iter_errors(data)] == []


def test_one_signal_may_leave_several_states() -> None:
    """Two transitions of one signal are told apart by the state they leave."""
    definition = load_directory(OLDER).all()["sales.lead_check"]

    assert [definition.exit_named(state, "lose").id for state in ("NEW", "MET")] == ["lose_new", "lose_met"]  # type: ignore[union-attr]


def test_a_guard_nobody_registered_keeps_a_file_out() -> None:
    """A runtime guard that does not exist would block for ever, so the file is refused at its line."""
    guards = {name: guard for name, guard in RUNTIME_GUARDS.items() if name != "actor_has_permission"}

    file = read_loop_file(OLDER / "stock_reorder.yaml", guards=guards)

    assert file.definition is None
    assert [(f.line, f.problem.code) for f in file.problems if f.problem.severity == "error"] == [
        (39, "UNREGISTERED_GUARD")
    ]
