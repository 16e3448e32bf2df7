"""How audits are told to people in a terminal. What others wrote is shown as text, never as markup."""

from collections.abc import Iterable, Iterator, Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gateway.auditing.checkpoints import TenantAudit
from gateway.auditing.measuring import TenantMeasured
from gateway.ledger_table import shown
from loops.bundle import CheckedBundle
from loops.checkpoint import Checkpoint
from loops.comparing import Comparison, Difference, Divergence
from loops.metrics import LoopMetrics, Percentiles
from loops.replay import Replayed

#: Differences and findings that are listed; more are counted.
LISTED = 20


def bundle_words(path: str, bundle: CheckedBundle) -> Iterator[RenderableType]:
    """Say what was checked of a bundle, what was found, and what it comes to."""
    for check in bundle.checks:
        at = f" at {check.sequence}" if check.sequence else ""
        mark = ("holds ", "green") if check.holds else ("broken", "red")
        yield Text.assemble(mark, shown(f"  {check.what}{at}: {check.detail}"))
    if bundle.holds and bundle.manifest:
        manifest = bundle.manifest
        whose = f"{manifest.aggregate_id} ({manifest.instance_id})"
        yield _good("verified", f": {path}: {whose}, {len(bundle.events)} events")
    elif found := bundle.broken:
        at = f" at {found.sequence}" if found.sequence else ""
        yield _bad("broken", f"{at}: {path}: {found.what}: {found.detail}")


def tenant_words(tenant: str, audited: TenantAudit) -> Iterator[RenderableType]:
    """Say what was found on all ledgers of a tenant."""
    for found in audited.findings[:LISTED]:
        whose = f"{found.aggregate_id or ''} ({found.instance_id}) " if found.instance_id else ""
        yield _bad("broken", f" at {found.sequence}: {whose}{found.reason}")
    if len(audited.findings) > LISTED:
        yield shown(f"and {len(audited.findings) - LISTED} more")
    told = f" {audited.ledgers} ledgers, {audited.events} events of tenant '{tenant}'"
    if audited.archived:
        told += f", {audited.archived} more archived"
    sealed = f"{audited.checkpoints} checkpoints" if audited.checkpoints else "no checkpoint yet"
    if audited.last:
        sealed += f", the last of {audited.last.at:%Y-%m-%d %H:%M:%S} UTC: {audited.last.hash}"
    if not audited.findings:
        yield _good("verified", f":{told}; {sealed}")
    else:
        yield _bad("broken", f": {len(audited.findings)} things do not hold;{told}; {sealed}")
    if audited.unsealed:
        yield shown(f"{audited.unsealed} ledgers have events no checkpoint has sealed: `loopgate audit checkpoint`")


def checkpoint_words(checkpoint: Checkpoint | None) -> RenderableType:
    """Say which checkpoint was made, and what to do with it."""
    if checkpoint is None:
        return Text("nothing moved since the last checkpoint")
    told = f" {checkpoint.sequence}: {checkpoint.count} heads, {checkpoint.hash}"
    return Text.assemble(_good("checkpoint", told), "\nkeep this hash elsewhere: it proves all of them later")


def replay_words(source: str, replayed: Replayed, stored: Iterable[Difference]) -> Iterator[RenderableType]:
    """Say whether a history judged again came out the same."""
    if deviation := replayed.deviation:
        yield _bad("differs", f" at {deviation.sequence}: {source}: {deviation.reason}")
        yield from _listed(deviation.differences, "recorded | judged again")
        return
    differences = tuple(stored)
    if differences:
        yield _bad("differs", f": {source}: the stored instance is not what its ledger says")
        yield from _listed(differences, "stored | by the ledger")
        return
    yield _good("reproduced", f": {source}: {replayed.events} events in {replayed.steps} decisions")


def comparison_words(left: str, right: str, comparison: Comparison) -> Iterator[RenderableType]:
    """Say where two histories first diverge."""
    yield shown(f"left:  {left}, {comparison.events[0]} events")
    yield shown(f"right: {right}, {comparison.events[1]} events")
    if comparison.divergence is None:
        yield _good("agree", " in everything" if comparison.same_history else " in all that two runs can share")
        return
    yield from _diverged("differ", comparison.divergence)
    if comparison.course and comparison.course.sequence != comparison.divergence.sequence:
        yield from _diverged("different course", comparison.course)
    elif comparison.course is None:
        yield Text("the course is the same")


def metrics_words(measured: TenantMeasured) -> Iterator[RenderableType]:
    """Return the figures as a table."""
    if not measured.loops:
        yield Text("no loops yet")
    else:
        table = Table(box=None, header_style="bold")
        table.add_column("")
        for loop in measured.loops:
            table.add_column(shown(loop.loop_id), justify="right", overflow="fold")
        told = [_figures(loop) for loop in measured.loops]
        for index, (name, _) in enumerate(told[0]):
            table.add_row(name, *(figures[index][1] for figures in told))
        yield table
        yield shown(f"over {measured.ledgers} ledgers{', older ones left out: --limit' if measured.more else ''}")
    if measured.unreadable:
        yield _bad("unreadable", f": {', '.join(measured.unreadable[:LISTED])}; `loopgate audit verify` says why")


def span(milliseconds: int | None) -> str:
    """Return a span as people say it: ``850 ms``, ``4.2 s``, ``3.5 min``, ``2.1 h``, ``1.4 d``."""
    if milliseconds is None:
        return "-"
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if milliseconds >= size:
            return f"{milliseconds / size:.1f} {unit}"
    return f"{milliseconds} ms"


def _figures(loop: LoopMetrics) -> list[tuple[str, str]]:
    asked = loop.requests
    return [
        ("instances", str(loop.count)),
        ("by status", _counts(loop.by_status)),
        ("completion rate", _rate(loop.completion_rate)),
        ("duration p50 / p95", _spans(loop.duration)),
        ("time to decision p50 / p95", _spans(loop.time_to_decision)),
        ("approval requests", f"{asked.count} ({asked.closed} closed)"),
        ("approved / rejected", f"{_rate(asked.approve_rate)} / {_rate(asked.reject_rate)}"),
        ("edited / expired", f"{_rate(asked.edit_rate)} / {_rate(asked.expire_rate)}"),
        ("guard failures", f"{_rate(loop.guards.failure_rate)} of {loop.guards.asked}"),
        ("transitions", _counts(loop.transitions_by_actor)),
        ("blocked / refused", f"{loop.blocked} / {loop.refused}"),
        ("effects failed", str(loop.effects_failed)),
    ]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "-"


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.0%}"


def _spans(spans: Percentiles) -> str:
    return f"{span(spans.p50)} / {span(spans.p95)}"


def _diverged(word: str, divergence: Divergence) -> Iterator[RenderableType]:
    yield _bad(word, f" first at {divergence.sequence}")
    yield from _listed(divergence.differences, "left | right")


def _listed(differences: tuple[Difference, ...], sides: str) -> Iterator[RenderableType]:
    for difference in differences[:LISTED]:
        yield shown(f"  {difference}")
    more = f", and {len(differences) - LISTED} more" if len(differences) > LISTED else ""
    if differences:
        yield shown(f"  ({sides}{more})")


def _good(word: str, rest: str) -> Text:
    return Text.assemble((word, "green"), shown(rest))


def _bad(word: str, rest: str) -> Text:
    return Text.assemble((word, "red"), shown(rest))
