"""Headers as the light client reads them: links, roots, and what the digest schedules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prbkit._native import core
from prbkit.errors import CodecError, VerificationError

__all__ = ["Header", "ScheduledChange", "check_chain", "genesis_header", "scheduled_change"]

GRANDPA_ENGINE = b"FRNK"

CONSENSUS_LOG = 4
SCHEDULED_CHANGE = 1


@dataclass(frozen=True, slots=True)
class Header:
    """A block header.

    `logs` are the SCALE of each digest item; `scale` is the whole header, whose BLAKE2b-256 is
    the block's hash.
    """

    parent_hash: bytes
    number: int
    state_root: bytes
    extrinsics_root: bytes
    logs: tuple[bytes, ...]
    scale: bytes

    @classmethod
    def decode(cls, scale: bytes) -> Header:
        """Read a SCALE header; raises CodecError, also for bytes left over."""
        scale = bytes(scale)
        parent, number, state_root, extrinsics_root, logs = core.header_fields(scale)
        return cls(parent, number, state_root, extrinsics_root, tuple(logs), scale)

    @classmethod
    def make(
        cls,
        *,
        parent_hash: bytes,
        number: int,
        state_root: bytes,
        extrinsics_root: bytes,
        logs: Sequence[bytes] = (),
    ) -> Header:
        """Make a header of its parts."""
        scale = b"".join(
            [
                parent_hash,
                core.compact(number),
                state_root,
                extrinsics_root,
                core.compact(len(logs)),
                *logs,
            ]
        )
        return cls.decode(scale)

    @property
    def hash(self) -> bytes:
        """BLAKE2b-256 of the SCALE header."""
        return core.blake2b_256(self.scale)


@dataclass(frozen=True, slots=True)
class ScheduledChange:
    """A change of the GRANDPA authority set that a header's digest announces.

    `authorities` are (ed25519 public key, weight); it takes effect `delay` blocks later.
    """

    authorities: tuple[tuple[bytes, int], ...]
    delay: int


def scheduled_change(header: bytes) -> ScheduledChange | None:
    """Return the GRANDPA ScheduledChange in a SCALE header's digest, None where it has none.

    Other GRANDPA logs (OnDisabled, Pause, …) may stand before it. Raises CodecError for a header
    or a ScheduledChange that cannot be read.
    """
    *_, logs = core.header_fields(header)
    for log in logs:
        if log[0] != CONSENSUS_LOG or log[1:5] != GRANDPA_ENGINE:
            continue
        walker = core.Walker(log, "digest item")
        walker.take(5)
        payload = core.Walker(walker.blob(), "GRANDPA log")
        if not payload.left or payload.u8() != SCHEDULED_CHANGE:
            continue
        authorities = tuple(
            (payload.take(32), payload.u64()) for _ in range(payload.count(least=40))
        )
        delay = payload.u32()
        payload.done()
        return ScheduledChange(authorities, delay)
    return None


def check_chain(headers: Iterable[bytes], parent_hash: bytes, number: int) -> bytes:
    """Check that SCALE headers follow each other from block `number` on; the last one's hash.

    :param parent_hash: hash of block `number` − 1, returned where there are no headers.
    :raises VerificationError: at the first that does not follow.
    """
    for scale in headers:
        try:
            parent, found, *_ = core.header_fields(scale)
        except CodecError as error:
            raise VerificationError(f"header {number} cannot be read: {error}") from error
        if found != number:
            raise VerificationError(f"header {found} stands where {number} should")
        if parent != parent_hash:
            raise VerificationError(
                f"the parent of block {number} is 0x{parent.hex()}, not 0x{parent_hash.hex()}",
                hint="the headers are of two forks, or the node's database is corrupt",
            )
        parent_hash = core.blake2b_256(scale)
        number += 1
    return parent_hash


def genesis_header(state_root: bytes) -> Header:
    """Return the header of block 0 of a chain whose genesis state has that root."""
    return Header.make(
        parent_hash=bytes(32),
        number=0,
        state_root=state_root,
        extrinsics_root=core.blake2b_256(b"\0"),
    )
