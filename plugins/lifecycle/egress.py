"""Which of a worker's messages go to the chain next: pure.

The chain takes the messages of one sender in sequence and refuses any other. So one batch of a
sender is on its way at a time, it begins at the sequence that the chain wants next, and it has no
gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prbkit.blobs import decode_egress, encode_origin, encode_signed_message

__all__ = ["Batch", "Egress", "Gap", "SequencedMessage", "next_batch", "read_egress"]


@dataclass(frozen=True, slots=True)
class SequencedMessage:
    """A message as its SCALE SignedMessage."""

    sequence: int
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Egress:
    """What one sender has to say; `origin` is its SCALE MessageOrigin."""

    origin: bytes
    messages: Sequence[SequencedMessage]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages without a gap, at least one."""

    first: int
    last: int
    messages: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Gap:
    """The worker has only messages after the one that the chain wants."""

    wanted: int
    found: int


def next_batch(
    messages: Sequence[SequencedMessage], wanted: int, limit: int, last: int | None = None
) -> Batch | Gap | None:
    """What to send of one sender, None if there is nothing.

    :param wanted: the sequence that the chain takes next.
    :param limit: most messages of a batch.
    :param last: the last sequence to send; a batch that was lost is made again as it was.
    """
    rest = {m.sequence: m.encoded for m in messages if m.sequence >= wanted}
    if not rest:
        return None
    if wanted not in rest:
        return Gap(wanted, min(rest))
    end = wanted
    while end in rest and end - wanted < limit and (last is None or end <= last):
        end += 1
    return Batch(wanted, end - 1, [rest[sequence] for sequence in range(wanted, end)])


def read_egress(data: bytes) -> Sequence[Egress]:
    """Read a worker's SCALE EgressMessages. Raises `CodecError`."""
    return [
        Egress(
            encode_origin(origin),
            [SequencedMessage(m["sequence"], encode_signed_message(m)) for m in messages],
        )
        for origin, messages in decode_egress(data)
    ]
