"""
Metrics: what operators watch, in Prometheus's form.

Each process has one `Metrics` with a registry of its own, made in the wiring and passed down; prometheus-client's
global registry is not used. A metric is named here, once, with its labels. Labels have few values: never an id, never
what somebody sent. What is counted is the sum over all processes of one address, whichever is asked. What the store
knows (how much waits) is read when it is asked for, so every gateway tells the same.

prometheus-client's own way with several processes is not taken: it keeps files by process id, which grow in number with
every process that is replaced, and is switched on for the whole program by an environment variable.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from channels.slack.socket_mode.counts import SocketCounts
from gateway.tallies import CONNECTIONS, PID, Tallies

#: Seconds that bound the buckets of a `Distribution`: from what people do not notice to what they give up on.
BOUNDS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_INFINITE = "+Inf"

#: What the answer to a scrape is.
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """One process's metrics. To count something new, name it here and hand the metric to whoever counts."""

    def __init__(self, tallies: Tallies | None = None) -> None:
        self.tallies = tallies or Tallies()
        self.registry = CollectorRegistry()
        self.registry.register(Processes(self.tallies))
        self.registry.register(
            Level(
                "loopgate_http_connections",
                "HTTP connections that are open, by process.",
                self.tallies,
                of=CONNECTIONS,
            )
        )
        self.store_up = Gauge(
            "loopgate_store_up", "Whether the store answered when this was asked for.", registry=self.registry
        )
        self.outbox = Gauge(
            "loopgate_outbox_entries", "Effects nobody handed to the job queue yet.", registry=self.registry
        )
        self.effects = Gauge(
            "loopgate_effects",
            "Effects that are not done with: dead ones wait for an operator.",
            ["queue", "kind", "state"],
            registry=self.registry,
        )
        self.oldest = Gauge(
            "loopgate_effects_oldest_seconds",
            "How long ago the oldest of these effects was asked for; 0 where there is none.",
            ["queue", "kind", "state"],
            registry=self.registry,
        )
        self.circuits = Gauge(
            "loopgate_circuit_open",
            "Whether an integration or provider failed too often in a row and is let be.",
            ["lane"],
            registry=self.registry,
        )
        self.lanes = Gauge(
            "loopgate_lane_effects",
            "Effects under way at an integration or provider, and those that wait for it.",
            ["lane", "place"],
            registry=self.registry,
        )
        self.chores = Gauge(
            "loopgate_chore_held", "Whether some process sees to a chore.", ["chore"], registry=self.registry
        )
        self.attempts = self._count(
            "loopgate_effect_attempts",
            "Attempts at effects by what became of them: done, later (tried again), dead (given up), waits (put off "
            "untried), cut_off (its worker stopped).",
            "queue",
            "kind",
            "became",
        )
        self.effect_seconds = Distribution(
            "loopgate_effect_seconds",
            "From when an effect was asked for until it was done.",
            ("queue", "kind"),
            self.tallies,
        )
        self.registry.register(self.effect_seconds)
        self.deliveries = self._count(
            "loopgate_deliveries", "Webhooks answered, by source and status.", "source", "status"
        )
        self.slack_calls = self._count(
            "loopgate_slack_calls",
            "Calls to Slack by method and what became of them: done, refused, limited (429), failed, put_off.",
            "method",
            "became",
        )

    def socket_counts(self) -> SocketCounts:
        """Return what the Socket Mode connections of this process count on; from now on it is told, too."""
        name = "loopgate_slack_socket"
        self.registry.register(
            Level(f"{name}_connections", "Socket Mode connections that are up.", self.tallies, is_sum=True)
        )
        told = {
            "opened": self._count(f"{name}_opened", "Connections that came up."),
            "not_opened": self._count(f"{name}_not_opened", "Attempts that did not come up."),
            "ended": self._count(f"{name}_ended", "Connections that were replaced or given up, by why.", "why"),
            "received": self._count(f"{name}_frames", "Frames received, by type.", "type"),
            "acknowledged": self._count(f"{name}_acknowledged", "Envelopes acknowledged, by type.", "type"),
            "unacknowledged": self._count(
                f"{name}_unacknowledged", "Envelopes left without acknowledgement, by why.", "why"
            ),
        }

        def changed(what: str, *which: str) -> None:
            if what in told:
                told[what].add(*which)
            else:
                self.tallies.set_level(f"{name}_connections", counts.up)

        counts = SocketCounts(changed=changed)
        counts.changed("up")
        return counts

    def render(self) -> bytes:
        """Return every metric in the text format."""
        return generate_latest(self.registry)

    def _count(self, name: str, documentation: str, *labels: str) -> "Count":
        count = Count(name, documentation, labels, self.tallies)
        self.registry.register(count)
        return count


class Count(Collector):
    """How often something happened, in all processes of one address."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], tallies: Tallies) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._tallies = tallies

    def add(self, *labels: str) -> None:
        """Count once more, with a value for each label."""
        if len(labels) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {', '.join(self._labels) or 'none'}")
        self._tallies.add(self._name, *labels)

    def collect(self) -> Iterator[Metric]:
        """Yield the family as it stands; without labels, it begins at 0."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        counts = self._tallies.counts(self._name)
        for labels, count in sorted((counts if self._labels else {(): 0} | counts).items()):
            family.add_metric(labels, count)
        yield family


class Distribution(Collector):
    """How long something took, in all processes of one address, in buckets of `BOUNDS_S`."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], tallies: Tallies) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._tallies = tallies

    def add(self, seconds: float, *labels: str) -> None:
        """Count something that took so long, with a value for each label."""
        bound = next((each for each in BOUNDS_S if seconds <= each), None)
        self._tallies.add(f"{self._name}_bucket", *labels, _INFINITE if bound is None else f"{bound:g}")
        self._tallies.add(f"{self._name}_us", *labels, by=round(seconds * 1_000_000))

    def collect(self) -> Iterator[Metric]:
        """Yield the family as it stands."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        counts, bounds = self._tallies.counts(f"{self._name}_bucket"), [*(f"{each:g}" for each in BOUNDS_S), _INFINITE]
        for labels, us in sorted(self._tallies.counts(f"{self._name}_us").items()):
            upto = accumulate(counts.get((*labels, bound), 0) for bound in bounds)
            family.add_metric(labels, list(zip(bounds, upto, strict=True)), us / 1_000_000)
        yield family


class Level(Collector):
    """How things stand in the processes of one address: of each by its place, or all together."""

    def __init__(self, name: str, documentation: str, tallies: Tallies, *, of: str = "", is_sum: bool = False) -> None:
        self._name = name
        self._of = of or name
        self._documentation = documentation
        self._tallies = tallies
        self._is_sum = is_sum

    def collect(self) -> Iterator[Metric]:
        """Yield the family as it stands."""
        levels = self._tallies.levels(self._of)
        if self._is_sum:
            yield GaugeMetricFamily(self._name, self._documentation, sum(levels.values()))
            return
        family = GaugeMetricFamily(self._name, self._documentation, labels=["process"])
        for place, level in levels.items():
            family.add_metric([str(place)], level)
        yield family


class Processes(Collector):
    """The process metrics Prometheus knows, of each process of an address; where there are several, by its place."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    def collect(self) -> Iterator[Metric]:
        """Yield the families as they stand."""
        families: dict[str, Metric] = {}
        for place, pid in self._tallies.levels(PID).items():
            labels = {"process": str(place)} if self._tallies.places > 1 else {}
            for family in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                merged = families.setdefault(family.name, family)
                samples = [each._replace(labels={**each.labels, **labels}) for each in family.samples]
                merged.samples = samples if merged is family else [*merged.samples, *samples]
        yield from families.values()
