"""Which runner runs which worker: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["place"]


def place(workers: Iterable[str], before: Mapping[str, int], most: int) -> dict[str, int]:
    """Place workers (uuids) on runners 0, 1, …, at most `most` on each.

    Who has a place keeps it, unless fewer runners are enough now; new ones go where the fewest
    are. The number of runners is the least that holds all.
    """
    wanted = list(dict.fromkeys(workers))
    runners = -(-len(wanted) // most)
    placed: dict[str, int] = {}
    counts = [0] * runners
    for uuid in wanted:
        runner = before.get(uuid)
        if runner is not None and runner < runners and counts[runner] < most:
            placed[uuid] = runner
            counts[runner] += 1
    for uuid in wanted:
        if uuid not in placed:
            runner = counts.index(min(counts))
            placed[uuid] = runner
            counts[runner] += 1
    return placed
