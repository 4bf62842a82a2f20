"""Kill -9 a farm's processes at random moments, over and over, and see that it loses nothing.

``python -m tests.e2e.chaos --seeds 1-20`` (``make chaos``). A seed chooses the victims, the
moments and the queue; what it ends with is judged as in `test_processes`: every worker computes,
each call that was meant has succeeded exactly once and no other was tried, no job has failed, the
store passes ``prbkit fsck``, and no child has outlived its parent.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import click

from tests.e2e.farm import SERVICES, Farm
from tests.e2e.harness import prbkit
from tests.plugins.redis_queue.server import Server

PACES = ((0.02, 4.0), (0.3, 8.0), (2.0, 12.0))
"""Seconds between two blows, log-uniform, one pair for each seed: from blows in the midst of
recovery to such that leave time for several blocks and jobs between."""


def children(parent: int) -> Sequence[int]:
    """Process ids of a process's children."""
    try:
        return [
            int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        ]
    except OSError:
        return []


class Chaos:
    """One seed: a farm, and what befalls it."""

    def __init__(self, seed: int, farm: Farm, redis: Server | None, say: Callable[[str], object]):
        self._random = random.Random(seed)
        self._pace = self._random.choice(PACES)
        self._farm = farm
        self._redis = redis
        self._say = say
        self._gone: set[int] = set()
        self.blows = 0

    def strike(self, seconds: float) -> None:
        """Kill and start again until so much time has passed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._sleep(*self._pace)
            victims = self._victims()
            self._say(f"kill {', '.join(victims)}")
            # Runners first: they are found through their parent.
            for victim in sorted(victims, key=lambda each: each != "runner"):
                self._kill(victim)
            if self._random.random() < 0.3:
                self._sleep(0.02, 3.0)
            for victim in self._random.sample(victims, len(victims)):
                self._start(victim)
            while self._random.random() < 0.3:  # right after the restart, in the midst of recovery
                victim = self._random.choice(victims)
                self._sleep(0.02, 2.5)
                self._say(f"kill {victim} again")
                self._kill(victim)
                self._start(victim)
            self._check_nothing_ended()

    def _victims(self) -> list[str]:
        """Mostly one, at times several at once. The devnet's death is everyone's, so rarer."""
        among = [*SERVICES, "trader", "lifecycle", "runner", "runner"]
        among += ["devnet"] if self._random.random() < 0.4 else []
        among += ["redis"] if self._redis else []
        count = self._random.choice([1, 1, 1, 2, 3])
        return sorted(set(self._random.sample(among, count)))

    def _kill(self, victim: str) -> None:
        self.blows += 1
        if victim == "redis":
            assert self._redis is not None
            self._redis.kill()
        elif victim == "runner":
            for pid in children(self._farm.processes["lifecycle"].pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            process = self._farm.processes[victim]
            self._gone.update(children(process.pid))
            process.kill()

    def _start(self, victim: str) -> None:
        if victim == "redis":
            assert self._redis is not None
            self._redis.start()
        elif victim != "runner":
            self._farm.processes[victim].start()

    def _sleep(self, least: float, most: float) -> None:
        time.sleep(least * (most / least) ** self._random.random())

    def _check_nothing_ended(self) -> None:
        for process in self._farm.processes.values():
            process.check()

    # -------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Wait for the end that was wanted, and read how it came to it."""
        farm = self._farm
        found = farm.wait_until_active(within=240)
        assert found["jobs"]["failed"] == 0, found["jobs"]
        farm.check_nothing_was_done_twice()
        left = [pid for pid in self._gone if Path(f"/proc/{pid}/cmdline").exists()]
        alive = [
            pid for pid in left if b"prbkit.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert not alive, f"children have outlived their parents: {alive}"
        farm.processes["data_provider"].stop()  # fsck wants the store for itself
        done = prbkit("fsck", "--json", "-c", str(farm.config("data_provider")), **farm.environ)  # type: ignore[arg-type]
        assert done.returncode == 0, done.stdout + done.stderr
        self._say(f"fsck: {json.loads(done.stdout)}")


@contextmanager
def _redis(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def run(seed: int, seconds: float, folder: Path, say: Callable[[str], object]) -> int:
    """Run one seed; raises AssertionError with the reason where it does not end well."""
    choose = random.Random(-seed - 1)
    redis = _redis(folder) if seed % 3 == 0 else nullcontext()
    with redis as server:
        environ = {"PRBKIT_QUEUE": f"{server.url}?name=chaos"} if server else {}
        farm = Farm(folder, workers=choose.choice([1, 2, 3]), **environ)
        with farm:
            chaos = Chaos(seed, farm, server, say)
            chaos.strike(seconds)
            chaos.judge()
            return chaos.blows


def _seeds(text: str) -> Sequence[int]:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


@click.command()
@click.option("--seeds", default="1-10", show_default=True, help="One, or first-last.")
@click.option("--seconds", default=60.0, show_default=True, help="Of blows, for each seed.")
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Where failed farms stay."
)
def main(seeds: str, seconds: float, keep: Path | None) -> None:
    """Run seeds one after the other; the exit code is the number of those that failed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the farm is stopped too
    first, _, last = seeds.partition("-")
    failed = []
    for seed in range(int(first), int(last or first) + 1):
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-", dir=keep))
        began = time.monotonic()

        def say(text: str, seed: int = seed, began: float = began) -> None:
            click.echo(f"seed {seed} {time.monotonic() - began:6.1f} s: {text}")

        try:
            blows = run(seed, seconds, folder, say)
        except Exception:  # noqa: BLE001 - told, and the next seed has its turn
            failed.append(seed)
            say(f"FAILED, the farm is in {folder}\n{traceback.format_exc()}")
        else:
            say(f"well, after {blows} blows")
            shutil.rmtree(folder)
    click.echo(f"failed: {failed or 'none'}")
    raise SystemExit(len(failed))


if __name__ == "__main__":
    main()
