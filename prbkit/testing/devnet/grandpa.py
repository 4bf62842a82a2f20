"""GRANDPA of the devnet: real keys, sets that rotate, justifications that a light client checks.

The voters of a round do not all vote for the same block: some stand above the block that is
finalized and sometimes one below it, as on real networks, so that ancestries have to be followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import ed25519_zebra

from prbkit.testing.devnet.blocks import Block, blake2_256, compact, opaque

__all__ = [
    "MAX_UNKNOWN_HEADERS",
    "AuthoritySet",
    "Voter",
    "authority_set",
    "finality_proof",
    "justify",
    "plan_votes",
    "ring_size",
    "validators",
]

MAX_UNKNOWN_HEADERS = 100_000
"""How many headers a node puts into one finality proof (sc-consensus-grandpa)."""

_PRECOMMIT = b"\x01"


@dataclass(frozen=True, slots=True, repr=False)
class Voter:
    """An ed25519 key pair."""

    secret: bytes
    public: bytes

    def sign(self, message: bytes) -> bytes:
        return bytes(ed25519_zebra.ed_sign(self.secret, message))


@dataclass(frozen=True, slots=True)
class AuthoritySet:
    """Who may finalize, each with weight 1."""

    id: int
    voters: tuple[Voter, ...]

    @property
    def authorities(self) -> tuple[tuple[bytes, int], ...]:
        return tuple((voter.public, 1) for voter in self.voters)

    @property
    def threshold(self) -> int:
        """Weight that finalizes: more than two thirds, rounded as GRANDPA does."""
        total = len(self.voters)
        return total - (total - 1) // 3


@lru_cache(maxsize=4096)
def _voter(seed: bytes, index: int) -> Voter:
    key = blake2_256(b"grandpa" + seed + index.to_bytes(4, "little"))
    secret, public = ed25519_zebra.ed_from_seed(key)
    return Voter(bytes(secret), bytes(public))


def authority_set(seed: bytes, set_id: int, size: int) -> AuthoritySet:
    """Give set number `set_id`: each next set loses its eldest member and gains another.

    The members come from a ring of twice as many.
    """
    members = (_voter(seed, (set_id + i) % ring_size(size)) for i in range(size))
    return AuthoritySet(set_id, tuple(members))


def ring_size(size: int) -> int:
    """Give how many validators take turns in sets of `size`."""
    return 2 * size


def validators(seed: bytes, size: int) -> tuple[bytes, ...]:
    """Give the public keys of all who take turns in sets of `size`, in their order."""
    return tuple(_voter(seed, i).public for i in range(ring_size(size)))


def plan_votes(
    voters: AuthoritySet, target: Block, above: Sequence[Block], below: Block | None
) -> list[tuple[Voter, Block]]:
    """Decide who votes for what, so that exactly `target` is what the votes finalize.

    :param above: the best chain's next blocks after the target that this set may vote for.
    :param below: the target's parent where a vote for it is allowed.

    The pattern follows from the target's number: all on the target, spread above it, the least
    votes that suffice, one vote below.
    """
    members, threshold = voters.voters, voters.threshold
    spare = len(members) - threshold
    pattern = target.number % 4
    if pattern == 1 and above:
        # Fewer than the threshold may stand above, or a higher block would be final.
        return [
            (voter, above[min(i, len(above) - 1)] if i < threshold - 1 else target)
            for i, voter in enumerate(members)
        ]
    if pattern == 2:
        skipped = target.number // 4 % (spare + 1)
        return [(voter, target) for voter in members[skipped : skipped + threshold]]
    if pattern == 3 and below is not None and spare:
        blocks = [below, *above[:1], *[target] * len(members)]
        if threshold < 2:
            blocks = [below, *[target] * len(members)]
        return list(zip(members, blocks, strict=False))
    return [(voter, target) for voter in members]


def justify(
    voters: AuthoritySet,
    round_number: int,
    target: Block,
    votes: Iterable[tuple[Voter, Block]],
    parent: Callable[[Block], Block],
) -> bytes:
    """Sign a GrandpaJustification of `target` (SCALE).

    :param parent: finds a block's parent; asked only for blocks above the lowest vote.
    """
    votes = list(votes)
    base = min((block for _, block in votes), key=lambda block: block.number)
    suffix = round_number.to_bytes(8, "little") + voters.id.to_bytes(8, "little")
    precommits = []
    ancestries: dict[bytes, Block] = {}
    for voter, block in votes:
        vote = block.hash + block.number.to_bytes(4, "little")
        precommits.append(vote + voter.sign(_PRECOMMIT + vote + suffix) + voter.public)
        while block.hash != base.hash and block.hash not in ancestries:
            ancestries[block.hash] = block
            block = parent(block)
    return b"".join(
        (
            round_number.to_bytes(8, "little"),
            target.hash,
            target.number.to_bytes(4, "little"),
            compact(len(precommits)),
            *precommits,
            compact(len(ancestries)),
            *(block.encoded for block in ancestries.values()),
        )
    )


def finality_proof(target: bytes, justification: bytes, headers: Sequence[bytes]) -> bytes:
    """SCALE FinalityProof, as `grandpa_proveFinality` answers it."""
    return b"".join((target, opaque(justification), compact(len(headers)), *headers))
