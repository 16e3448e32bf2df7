"""An instance after a decision's changes: quick to make, and no looser than one that was validated."""

from typing import get_type_hints

import pytest
from builders import DATA, an_instance

from loops.instance import InstanceChanges, LoopInstance

INSTANCE = an_instance(state="HERE", version=1, data=DATA)


def test_a_change_gives_what_validation_would() -> None:
    """Changed quickly or with validation, an instance is the same value, with the same JSON, and the old one stays."""
    quick = INSTANCE.after(state="THERE", version=2, contributors=("dana",))
    checked = INSTANCE.changed(state="THERE", version=2, contributors=("dana",))

    assert quick == checked
    assert quick.model_dump_json() == checked.model_dump_json()
    assert (INSTANCE.state, quick.canonical) == ("HERE", checked.canonical)


def test_what_was_derived_before_a_change_is_not_kept() -> None:
    """A canonical form made before a change does not stand for the instance after it."""
    before = INSTANCE.canonical

    assert INSTANCE.after(state="THERE").canonical == before.replace("HERE", "THERE")


def test_what_all_its_events_share_is_carried_on() -> None:
    """It is made once, of nothing that a commit changes; an instance that differs in what it is made of has its own."""
    shared = INSTANCE.letterhead
    fields = {name: getattr(INSTANCE, name) for name in LoopInstance.model_fields}
    all_changed = LoopInstance.trusting(fields | dict.fromkeys(InstanceChanges.__annotations__, "changed"))

    assert INSTANCE.after(state="THERE").letterhead is shared
    assert all_changed.letterhead == shared
    assert INSTANCE.changed(tenant="other").letterhead != shared
    assert INSTANCE.model_copy(update={"definition_digest": "sha256:1"}).letterhead != shared


@pytest.mark.parametrize("name", ["stat", "instance_id", "canonical"])
def test_no_change_of_what_is_no_field_to_change(name: str) -> None:
    """A misspelt field is refused, and so is one that stays with an instance for good."""
    with pytest.raises(ValueError, match=f"no field {name} of an instance"):
        INSTANCE.after(**{name: "x"})  # type: ignore[arg-type]


def test_the_types_of_changes_are_those_of_the_instance() -> None:
    """What the type checker holds changes to is what validation would hold them to."""
    fields = get_type_hints(LoopInstance)

    assert {name: fields[name] for name in InstanceChanges.__annotations__} == get_type_hints(InstanceChanges)
