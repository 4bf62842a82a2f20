"""Prometheus metrics, made of the bridge's status at each scrape, in a registry of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["render"]

HEIGHTS = ("target", "fetched", "committed")
POSITIONS = ("next_relay", "next_para", "next_block")


def render(status: Mapping[str, Any]) -> tuple[bytes, str]:
    """A status (`prbkit.status`) in the text exposition format, and its content type."""
    registry = CollectorRegistry()
    height = Gauge(
        "prbkit_height", "Block number by chain and stage.", ("chain", "stage"), registry=registry
    )
    for chain in ("relay", "para"):
        for stage in HEIGHTS:
            if (value := status[chain].get(stage)) is not None:
                height.labels(chain, stage).set(value)
    set_id = Gauge("prbkit_authority_set_id", "GRANDPA set id in force.", registry=registry)
    if (value := status["relay"].get("set_id")) is not None:
        set_id.set(value)
    states = Gauge("prbkit_workers", "Workers by state.", ("state",), registry=registry)
    for state, count in Counter(worker["state"] for worker in status["workers"]).items():
        states.labels(state).set(count)
    position = Gauge(
        "prbkit_worker_next_block",
        "Number that a worker expects next.",
        ("worker", "kind"),
        registry=registry,
    )
    for worker in status["workers"]:
        for kind in POSITIONS:
            if (value := worker.get(kind)) is not None:
                position.labels(worker["name"], kind.removeprefix("next_")).set(value)
    jobs = Gauge("prbkit_jobs", "Trade jobs by outcome.", ("state",), registry=registry)
    for state, count in status["jobs"].items():
        jobs.labels(state).set(count)
    return generate_latest(registry), CONTENT_TYPE_LATEST
