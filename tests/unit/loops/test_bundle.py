"""Bundles: whoever has one can check it alone, and sees any byte that was changed."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import TENANT, a_house, an_answer
from hypothesis import given
from hypothesis import strategies as st

from loops.bundle import Manifest, bundle_lines, check_bundle, make_manifest, manifest_digest
from loops.canonical import canonical_json
from loops.checkpoint import Inclusion, SealedHead, make_checkpoint, prove
from loops.ledger import GENESIS, event_in, line_of, seal
from loops.ports import Loaded

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)


async def a_history() -> tuple[Loaded, list[bytes]]:
    """An approved change that an agent proposed, and the lines of its ledger."""
    house = a_house()
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    loaded = await house.store.load(TENANT, request.instance_id)
    assert loaded is not None
    return loaded, list(await house.store.lines(TENANT, request.instance_id))


def a_proof(loaded: Loaded, sequence: int, hashed: str, **fields: Any) -> Inclusion:
    """The proof that a checkpoint sealed the instance's ledger at *sequence*."""
    instance = loaded.instance
    head = SealedHead(instance_id=instance.instance_id, sequence=sequence, hash=hashed)
    others = [SealedHead(instance_id=f"li_other_{n}", sequence=1, hash=GENESIS) for n in range(4)]
    proof = prove(make_checkpoint(fields.get("tenant", TENANT), [head, *others], None, NOW), head.instance_id)
    assert proof is not None
    return proof


async def a_bundle(**fields: Any) -> list[bytes]:
    """The lines of a bundle, without line ends."""
    loaded, lines = await a_history()
    return bundled(loaded, lines, **fields)


def bundled(loaded: Loaded, lines: list[bytes], **fields: Any) -> list[bytes]:
    """The lines of the bundle of a history."""
    manifest = make_manifest(
        loaded.instance, loaded.definition, lines, exported_at=NOW, exported_by="loopgate 0.1.0", **fields
    )
    return [line.removesuffix(b"\n") for line in bundle_lines(manifest, lines)]


def remade(bundle: list[bytes], **fields: Any) -> list[bytes]:
    """The bundle with its manifest edited and made whole again, as a forger would."""
    manifest = Manifest.model_validate_json(bundle[0]).changed(**fields)
    return [canonical_json(manifest.changed(digest=manifest_digest(manifest)).as_json()), *bundle[1:]]


async def test_a_bundle_holds() -> None:
    """What is exported verifies from its own bytes: manifest, definition, events, chain, head."""
    loaded, lines = await a_history()

    checked = check_bundle(bundled(loaded, lines))

    assert checked.holds
    assert [check.what for check in checked.checks] == ["manifest", "definition", "events", "chain"]
    assert checked.definition == loaded.definition
    assert [line_of(event) for event in checked.events] == lines
    assert checked.manifest is not None
    assert checked.manifest.head == loaded.instance.head


async def test_a_bundle_can_be_checked_with_other_tools() -> None:
    """The manifest is one line of JSON; the rest digests to what it says; hashes follow from the lines alone."""
    first, *rest = await a_bundle()
    manifest = json.loads(first)

    assert hashlib.sha256(b"".join(line + b"\n" for line in rest)).hexdigest() == manifest["events"]["digest"][7:]
    previous = GENESIS
    for line in rest:
        event = json.loads(line)
        own = event.pop("hash")
        plain = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert event["previousHash"] == previous
        assert own == "sha256:" + hashlib.sha256(plain).hexdigest()
        previous = own
    assert manifest["head"]["hash"] == previous


async def test_who_a_model_was_is_in_the_bundle() -> None:
    """Model, provider and confidence of an agent survive into what is exported."""
    checked = check_bundle(await a_bundle())
    moved = next(event for event in checked.events if event.type == "loop.transition.executed")

    actor = moved.data["actor"]
    assert (actor["modelId"], actor["provider"], actor["confidence"]) == ("claude", "anthropic", 0.87)


@given(data=st.data())
async def test_every_single_byte_edit_of_a_bundle_is_detected(data: st.DataObject) -> None:
    """One byte changed, put in or taken out anywhere, manifest or events, is found."""
    whole = b"\n".join(await a_bundle())
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    match data.draw(st.sampled_from(["replace", "insert", "delete"])):
        case "replace":
            edited = whole[:at] + (byte if byte != whole[at : at + 1] else b"\x00") + whole[at + 1 :]
        case "insert":
            edited = whole[:at] + byte + whole[at:]
        case _:
            edited = whole[:at] + whole[at + 1 :]

    assert not check_bundle(edited.split(b"\n")).holds


@pytest.mark.parametrize(
    ("change", "what", "sequence"),
    [
        (lambda lines: lines[:-1], "events", 8),
        (lambda lines: [*lines, lines[-1]], "events", 9),
        (lambda lines: [lines[0], *lines[2:]], "events", 8),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "events", None),
        (lambda lines: [], "events", 1),
    ],
)
async def test_events_dropped_doubled_or_reordered_are_detected(change: Any, what: str, sequence: int | None) -> None:
    """The manifest counts and digests the events, and the chain names the first bad one."""
    first, *rest = await a_bundle()
    assert len(rest) == 8
    checked = check_bundle([first, *change(rest)])

    assert checked.broken is not None
    assert (checked.broken.what, checked.broken.sequence) == (what, sequence)
    assert [check.what for check in checked.checks if not check.holds] == ["events", "chain"]


async def test_the_first_bad_event_is_named() -> None:
    """A changed event is found by the chain at its own sequence, beside the digest of all."""
    bundle = await a_bundle()
    bundle[3] = bundle[3].replace(b"ROLLING_OUT", b"COMPLETE").replace(b"PENDING", b"RENDING")
    checks = {check.what: check for check in check_bundle(bundle).checks}

    assert not checks["events"].holds
    assert (checks["chain"].holds, checks["chain"].sequence) == (False, 3)


async def test_another_definition_under_the_same_digest_is_detected() -> None:
    """The definition in the bundle is the pinned one, or the bundle does not hold."""
    bundle = await a_bundle()
    definition = Manifest.model_validate_json(bundle[0]).definition
    lax = {**definition, "transitions": [{**each, "guards": []} for each in definition["transitions"]]}

    broken = check_bundle(remade(bundle, definition=lax)).broken

    assert broken is not None
    assert (broken.what, broken.detail) == ("definition", "the definition's content does not match its digest")


@pytest.mark.parametrize(
    "fields",
    [
        {"tenant": "other"},
        {"aggregate_id": "CHG-8"},
        {"instance_id": "li_2"},
        {"loop_id": "other"},
        {"definition_version": "9.9.9"},
        {"head": {"sequence": 7, "hash": GENESIS}},
        {"exported_by": "loopgate 0.1.0", "events": {"count": 7, "digest": GENESIS}},
    ],
)
async def test_a_manifest_of_something_else_does_not_hold(fields: dict[str, Any]) -> None:
    """A manifest made whole again around other names than the events have is found."""
    assert not check_bundle(remade(await a_bundle(), **fields)).holds


async def test_a_checkpoint_proves_when_the_history_was_there() -> None:
    """A proof in the bundle is checked against the ledger, which may have grown since."""
    loaded, lines = await a_history()
    proof = a_proof(loaded, 4, event_in(lines[3]).hash)

    checked = check_bundle(bundled(loaded, lines, checkpoint=proof))

    assert checked.holds
    assert checked.checks[-1].what == "checkpoint"
    assert checked.checks[-1].detail == (f"checkpoint 1 of 2026-11-22 15:00:00 sealed 4 events, {proof.statement.hash}")


async def test_a_checkpoint_that_contradicts_the_history_is_detected() -> None:
    """A proof of another event, another ledger or another tenant, or of more than there is, does not hold."""
    loaded, lines = await a_history()
    hashed = event_in(lines[3]).hash
    good = a_proof(loaded, 4, hashed)
    for proof, reason in [
        (a_proof(loaded, 4, GENESIS), "event 4 is not the one that checkpoint 1 sealed"),
        (a_proof(loaded, 9, hashed), "checkpoint 1 sealed 9 events, the ledger has 8"),
        (a_proof(loaded, 4, hashed, tenant="other"), "it is about another ledger"),
        (good.changed(head=good.head.changed(sequence=3)), "the head is not under the checkpoint's root"),
        (good.changed(statement=good.statement.changed(at=NOW + timedelta(days=1))), "does not match its hash"),
    ]:
        broken = check_bundle(bundled(loaded, lines, checkpoint=proof)).broken

        assert broken is not None
        assert broken.what == "checkpoint"
        assert reason in broken.detail


async def test_a_history_made_up_from_the_start_contradicts_its_checkpoint() -> None:
    """Sealed anew from the first event on, a ledger verifies alone, and not against what was sealed before."""
    loaded, lines = await a_history()
    proof = a_proof(loaded, 8, event_in(lines[7]).hash)
    chain: list[bytes] = []
    previous = GENESIS
    for line in lines:
        event = event_in(line)
        fields = {name: getattr(event, name) for name in type(event).model_fields if name != "hash"}
        made = seal({**fields, "correlation_id": "forged", "previous_hash": previous})
        previous = made.hash
        chain.append(line_of(made))
    forged = Loaded(loaded.instance.changed(head={"sequence": 8, "hash": previous}), loaded.definition, loaded.request)

    assert check_bundle(bundled(forged, chain)).holds
    assert not check_bundle(bundled(forged, chain, checkpoint=proof)).holds


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b""],
        [b"{}"],
        [b"null"],
        [b"\xff"],
        [b"[" * 100_000],
        [b'{"format":"loopgate-bundle/2"}'],
        [b'{"format":"loopgate-bundle/1"}', b"x"],
    ],
)
def test_what_is_no_bundle_is_said_to_be_none(lines: list[bytes]) -> None:
    """Any bytes in place of a bundle give a check that does not hold, never an error."""
    checked = check_bundle(lines)

    assert not checked.holds
    assert checked.manifest is None
    assert checked.broken is not None
    assert checked.broken.what == "manifest"
    assert "manifest" in checked.broken.detail
