"""Whole processes of prbkit, started, killed and watched as an operator would."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
EXAMPLES = REPO / "examples"


def free_ports(count: int) -> int:
    """The first of `count` consecutive ports that nobody listens on.

    They lie below the range that outgoing connections take theirs from, so that a process that is
    killed finds its ports free when it comes back.
    """
    for _ in range(200):
        first = random.randrange(12_000, 31_000)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports were found")


class Process:
    """``prbkit ARGUMENTS`` in the background; its output goes to a file."""

    def __init__(self, name: str, folder: Path, *arguments: str, **environ: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "prbkit", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self._environ},
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill -9 the process; its own children must notice by themselves."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it and whatever it has started, whichever way."""
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @property
    def pid(self) -> int:
        """Its process id, also that of its group; 0 where it does not run."""
        return 0 if self._process is None else self._process.pid

    def wait(self, timeout: float) -> int:
        """Wait until it has ended by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def check(self) -> None:
        """Fail the test where the process has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise AssertionError(f"{self.name} ended with {code}:\n{self.tail()}")

    def tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def prbkit(
    *arguments: str, timeout: float = 60, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run ``prbkit ARGUMENTS`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "prbkit", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environ},
        check=False,
    )


def wait_for(what: str, look: Callable[[], Any], processes: list[Process], *, within: float) -> Any:
    """Look until something is seen; fail with the processes' last lines where it is not."""
    deadline = time.monotonic() + within
    seen: Any = None
    while time.monotonic() < deadline:
        for process in processes:
            process.check()
        if seen := look():
            return seen
        time.sleep(0.3)
    logs = "\n".join(f"--- {process.name}\n{process.tail()}" for process in processes)
    raise AssertionError(f"{what} was not seen within {within} s; last: {seen}\n{logs}")


def status(config: Path, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """``prbkit status --json``, None where nothing answers yet."""
    done = prbkit("status", "-c", str(config), "--json", **environ)
    return json.loads(done.stdout) if done.returncode == 0 else None


def all_active(found: Mapping[str, Any] | None, workers: int) -> bool:
    return found is not None and sum(
        worker["state"] == "S_ACTIVE" and worker["session_state"] == "WorkerIdle"
        for worker in found["workers"]
    ) >= workers  # fmt: skip
