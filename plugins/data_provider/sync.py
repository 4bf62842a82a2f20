"""What to fetch next of the relay chain, and where a segment closes: decisions without I/O.

A segment ends at a justified block and never runs over one that schedules an authority-set
change. The fewest requests that give one: a finality proof where the node has them; else the
headers up to the next change (whose block must be justified), or up to the newest block that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prbkit.light import scheduled_change

__all__ = ["Idle", "Prove", "Scan", "Step", "first_change", "next_relay", "para_batches"]


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing is finalized beyond what we have."""


@dataclass(frozen=True, slots=True)
class Prove:
    """Ask ``grandpa_proveFinality(after)``; headers `first` … `after` are fetched by number.

    A proof is of the set that `after` belongs to. Behind the last block of a set it must
    therefore be asked with the first of the next, whose header it does not contain.
    """

    after: int
    first: int


@dataclass(frozen=True, slots=True)
class Scan:
    """Fetch headers `first` … `last` and look for the block that a segment can end at."""

    first: int
    last: int


Step = Idle | Prove | Scan


def next_relay(number: int, ends_set: bool, target: int, *, proves: bool, scan: int) -> Step:
    """Say what to fetch behind relay block `number`.

    :param ends_set: that block schedules a change of authorities.
    :param target: newest finalized block that is known of.
    :param proves: the node answers ``grandpa_proveFinality``.
    :param scan: most headers of a scan.
    """
    first = number + 1
    if target < first:
        return Idle()
    if proves:
        return Prove(first if ends_set else number, first)
    return Scan(first, min(target, number + scan))


def first_change(headers: Sequence[bytes]) -> int | None:
    """Index of the first header that schedules an authority-set change."""
    for index, header in enumerate(headers):
        if scheduled_change(header) is not None:
            return index
    return None


def para_batches(committed: int, head: int, size: int) -> list[tuple[int, int]]:
    """(first, last) of the parachain ranges to commit, in order, up to a proven head."""
    return [(n, min(n + size - 1, head)) for n in range(committed + 1, head + 1, size)]
