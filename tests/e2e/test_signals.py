"""Ctrl-C and SIGTERM end a whole bridge, its children too, without a traceback."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.harness import Process, wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc"),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_the_demo(tmp_path: Path, number: signal.Signals) -> None:
    """As a terminal's Ctrl-C does it: every process of the group gets the signal."""
    demo = Process("demo", tmp_path, "serve", "--demo", "--workers", "1", "--block-time", "0.5")
    demo.start()
    try:
        wait_for("a running bridge", lambda: "monitor is at" in demo.tail(200), [demo], within=60)
        group = demo.pid
        assert group
        if number == signal.SIGINT:
            os.killpg(group, number)
        else:
            os.kill(group, number)
        assert demo.wait(30) == 0
    finally:
        demo.stop()
    assert "Traceback" not in demo.tail(1000)
    assert members(group) == []


def members(session: int) -> list[int]:
    """Processes of a session: a child may have a group of its own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == session:
                    found.append(int(entry.name))
    return found
