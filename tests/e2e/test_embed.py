"""examples/embed.py does what it says, against a devnet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import EXAMPLES, Process, wait_for

pytestmark = pytest.mark.e2e


def test_the_embedding_example_restarts_a_worker(tmp_path: Path) -> None:
    devnet = Process(
        "devnet", tmp_path, "devnet",
        "--workers", "1", "--block-time", "0.3",
        "--relay-port", "0", "--para-port", "0", "--worker-port", "0",
    )  # fmt: skip
    devnet.start()
    try:
        wait_for("the devnet", lambda: "worker 0" in devnet.tail(), [devnet], within=60)
        relay, para, worker = (line.split()[-1] for line in devnet.tail().splitlines()[:3])
        done = subprocess.run(
            [sys.executable, EXAMPLES / "embed.py", worker, "--relay", relay, "--para", para],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        devnet.stop()
    assert done.returncode == 0, done.stderr[-4000:]
    before, _, after = done.stdout.partition("w1 is restarted\n")
    assert "w1 S_ACTIVE" in before
    assert "w1 S_STARTING" in after
    assert "w1 S_ACTIVE" in after
