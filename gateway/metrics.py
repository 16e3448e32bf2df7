"""
Metrics: what operators watch, in Prometheus's form.

Each process has one `Metrics` with a registry of its own, made in the wiring and passed down; prometheus-client's
global registry is not used. A metric is named here, once, with its labels. Labels have few values: never an id, never
what somebody sent. What the store knows (how much waits) is read when it is asked for, so every gateway tells the same.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from channels.slack.socket_mode.counts import SocketCounts

#: What the answer to a scrape is.
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """One process's metrics. To count something new, name it here and hand the metric to whoever counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
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
            "Whether an integration failed too often in a row and is let be.",
            ["integration"],
            registry=self.registry,
        )
        self.lanes = Gauge(
            "loopgate_lane_effects",
            "Effects under way at an integration, and those that wait for it.",
            ["integration", "place"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "loopgate_deliveries",
            "Webhooks answered, by source and status.",
            ["source", "status"],
            registry=self.registry,
        )
        self.slack_calls = Counter(
            "loopgate_slack_calls",
            "Calls to Slack by method and what became of them: done, refused, limited (429), failed, put_off.",
            ["method", "became"],
            registry=self.registry,
        )

    def watch(self, collector: Collector) -> None:
        """Tell what *collector* counts, too."""
        self.registry.register(collector)

    def render(self) -> bytes:
        """Return every metric in the text format."""
        return generate_latest(self.registry)


class SocketCollector(Collector):
    """What the Socket Mode connections of this process count."""

    def __init__(self, counts: SocketCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield the families as they stand."""
        counts, name = self._counts, "loopgate_slack_socket"
        yield GaugeMetricFamily(f"{name}_connections", "Socket Mode connections that are up.", counts.up)
        yield CounterMetricFamily(f"{name}_opened", "Connections that came up.", counts.opened)
        yield CounterMetricFamily(f"{name}_not_opened", "Attempts that did not come up.", counts.not_opened)
        for each, what, label, by in (
            ("ended", "Connections that were replaced or given up, by why.", "why", counts.ended),
            ("frames", "Frames received, by type.", "type", counts.received),
            ("acknowledged", "Envelopes acknowledged, by type.", "type", counts.acknowledged),
            ("unacknowledged", "Envelopes left without acknowledgement, by why.", "why", counts.unacknowledged),
        ):
            family = CounterMetricFamily(f"{name}_{each}", what, labels=[label])
            for value, count in sorted(by.items()):
                family.add_metric([value], count)
            yield family
