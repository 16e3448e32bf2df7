"""Metrics: each process has its own, in a form Prometheus reads."""

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics


def test_every_process_counts_for_itself() -> None:
    """Two `Metrics` share nothing, and the library's global registry holds none of ours."""
    one, other = Metrics(), Metrics()
    one.deliveries.labels("ci", "202").inc()

    assert 'loopgate_deliveries_total{source="ci",status="202"} 1.0' in one.render().decode()
    assert "202" not in other.render().decode()
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("loopgate")]


def test_what_is_rendered_can_be_read() -> None:
    """The text parses, every metric of ours says what it is, and its name begins with ours."""
    metrics = Metrics()
    families = list(text_string_to_metric_families(metrics.render().decode()))

    assert families
    assert all(family.documentation for family in families)
    assert {family.name.split("_")[0] for family in families} == {"loopgate", "process"}
