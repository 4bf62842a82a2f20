"""Mortal eras: how long an extrinsic may be included, as two bytes of its signed part.

The rule is Substrate's `sp_runtime::generic::Era`.
"""

from __future__ import annotations

from dataclasses import dataclass

from prbkit.errors import CodecError

__all__ = ["Era", "decode_era", "encode_era"]

SHORTEST, LONGEST = 4, 65536


@dataclass(frozen=True, slots=True)
class Era:
    """A mortal era: `period` in blocks, a power of two; `phase` where in a period it begins."""

    period: int
    phase: int

    def birth(self, current: int) -> int:
        """Number of the block whose hash is signed, for an extrinsic seen at block `current`."""
        return (max(current, self.phase) - self.phase) // self.period * self.period + self.phase

    def death(self, current: int) -> int:
        """Number of the first block that can no longer include it."""
        return self.birth(current) + self.period


def encode_era(era: tuple[int, int] | None) -> bytes:
    """Encode an era given as (period, current block), None for immortal; one or two bytes.

    The period must be a power of two from 4 to 65536. Where it is over 4096, phases come in
    steps of period / 4096: the era then begins at `decode_era(…).birth(current)`, at or before
    `current`, and the hash of that block is the one to sign.
    """
    if era is None:
        return b"\x00"
    period, current = era
    if not SHORTEST <= period <= LONGEST or period & (period - 1):
        raise CodecError(
            f"era period is {period}", hint="a power of two from 4 to 65536 is allowed"
        )
    if current < 0:
        raise CodecError(f"era begins at block {current}")
    phase = current % period // max(period >> 12, 1)
    exponent = period.bit_length() - 2
    return (exponent | phase << 4).to_bytes(2, "little")


def decode_era(data: bytes) -> Era | None:
    """Decode the one or two bytes of an era; None for immortal."""
    if data == b"\x00":
        return None
    if len(data) != 2:
        raise CodecError(f"an era has one or two bytes, not {len(data)}")
    encoded = int.from_bytes(data, "little")
    period = 2 << (encoded & 15)
    phase = (encoded >> 4) * max(period >> 12, 1)
    if period < SHORTEST or phase >= period:
        raise CodecError(f"no era is encoded as 0x{data.hex()}")
    return Era(period, phase)
