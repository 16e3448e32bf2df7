"""Metrics: in a form Prometheus reads, and of all processes behind one address whichever is asked."""

import os

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics
from gateway.tallies import Tallies, shared_memory


def test_every_process_counts_for_itself() -> None:
    """Two `Metrics` share nothing, and the library's global registry holds none of ours."""
    one, other = Metrics(), Metrics()
    one.deliveries.add("ci", "202")

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


def test_a_count_needs_its_labels() -> None:
    """A value for each label, no more and no less."""
    with pytest.raises(ValueError, match="source, status"):
        Metrics().deliveries.add("ci")


def test_how_long_something_took_is_told_in_buckets_of_all_processes() -> None:
    """Each bucket holds all that took no longer; what took longer than any bound is in the last one alone."""
    memory = shared_memory(2)
    one, other = (Metrics(Tallies(memory, places=2, place=place)) for place in (0, 1))
    for metrics, seconds in ((one, 0.1), (one, 4.0), (other, 4.5), (other, 4_000.0)):
        metrics.effect_seconds.add(seconds, "cards", "card.post")
    told = one.render().decode().splitlines()
    os.close(memory)

    labels = 'kind="card.post",{}queue="cards"'
    upto = {"0.1": 1, "2.5": 1, "5": 3, "3600": 3, "+Inf": 4}
    for bound, count in upto.items():
        le = labels.format(f'le="{bound}",')
        assert f"loopgate_effect_seconds_bucket{{{le}}} {count}.0" in told
    assert f"loopgate_effect_seconds_sum{{{labels.format('')}}} 4008.6" in told


def test_whichever_process_of_an_address_is_asked_tells_of_all() -> None:
    """Counters are sums, connections to Slack too; what is a process's own says whose it is."""
    memory = shared_memory(2)
    one, other = (Metrics(Tallies(memory, places=2, place=place)) for place in (0, 1))
    sockets = [one.socket_counts(), other.socket_counts()]
    for metrics, counts in zip((one, other), sockets, strict=True):
        metrics.deliveries.add("ci", "202")
        counts.came_up()
        counts.came_up()
        counts.add("received", "hello")
    sockets[0].went_down()
    sockets[1].did_not_open()
    told = one.render().decode()
    os.close(memory)

    for line in (
        'loopgate_deliveries_total{source="ci",status="202"} 2.0',
        "loopgate_slack_socket_connections 3.0",
        "loopgate_slack_socket_opened_total 4.0",
        "loopgate_slack_socket_not_opened_total 1.0",
        'loopgate_slack_socket_frames_total{type="hello"} 2.0',
    ):
        assert line in told.splitlines()
    assert len([line for line in told.splitlines() if line.startswith("process_cpu_seconds_total{process=")]) == 2
    assert other.render().decode().splitlines()[-1] == told.splitlines()[-1]
