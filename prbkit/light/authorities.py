"""The authority set in force, followed over the headers that change it."""

from __future__ import annotations

from dataclasses import dataclass

from prbkit._native import core
from prbkit.errors import CodecError, VerificationError
from prbkit.light.grandpa import (
    decode_authorities,
    encode_authorities,
    verify_justification,
    verify_justification_async,
)
from prbkit.light.header import scheduled_change

__all__ = ["AuthoritySet"]


@dataclass(frozen=True, slots=True)
class AuthoritySet:
    """A GRANDPA authority set: (ed25519 public key, weight) of each, and the set's id.

    The set that justifies block N is in force after block N − 1: the state at a block that
    schedules a change holds the new set already, while its own justification is by the old one.
    """

    authorities: tuple[tuple[bytes, int], ...]
    set_id: int

    def after(self, header: bytes) -> AuthoritySet:
        """Return the set that is in force after a justified block: this one, or the next.

        :raises VerificationError: for a change that does not take effect at once.
        """
        change = scheduled_change(header)
        if change is None:
            return self
        if change.delay != 0:
            raise VerificationError(
                f"block {core.header_number(header)} delays its change of authorities by "
                f"{change.delay} blocks",
                hint="pRuntime's light client knows no delayed changes",
            )
        return AuthoritySet(change.authorities, self.set_id + 1)

    def verify(self, header: bytes, justification: bytes) -> None:
        """Check that this set finalized the block of a SCALE header."""
        verify_justification(
            justification,
            target_hash=core.blake2b_256(header),
            target_number=core.header_number(header),
            authorities=self.authorities,
            set_id=self.set_id,
        )

    async def verify_async(self, header: bytes, justification: bytes) -> None:
        """Check as `verify` does, giving the event loop a turn every few milliseconds."""
        await verify_justification_async(
            justification,
            target_hash=core.blake2b_256(header),
            target_number=core.header_number(header),
            authorities=self.authorities,
            set_id=self.set_id,
        )

    def encode(self) -> bytes:
        """Return SCALE: AuthorityList and id (u64)."""
        return encode_authorities(self.authorities) + self.set_id.to_bytes(8, "little")

    @classmethod
    def decode(cls, data: bytes) -> AuthoritySet:
        """Read SCALE; raises CodecError, also for bytes left over."""
        if len(data) < 8:
            raise CodecError(f"an authority set has more than {len(data)} bytes")
        return cls(tuple(decode_authorities(data[:-8])), int.from_bytes(data[-8:], "little"))
