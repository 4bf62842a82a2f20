"""The demo reaches its end: three workers compute, no job failed, the authority set changed."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import prbkit

pytestmark = pytest.mark.e2e


def test_the_demo_brings_three_workers_to_compute() -> None:
    done = prbkit(
        "serve", "--demo", "--workers", "3", "--block-time", "0.5", "--until-active", "--json",
        timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert [worker["state"] for worker in found["workers"]] == ["S_ACTIVE"] * 3
    assert [worker["session_state"] for worker in found["workers"]] == ["WorkerIdle"] * 3
    assert found["jobs"]["failed"] == 0
    assert found["jobs"]["pending"] == 0
    assert found["relay"]["set_changes"] >= 2
    for chain in ("relay", "para"):
        assert found[chain]["committed"] <= found[chain]["fetched"] <= found[chain]["target"]
