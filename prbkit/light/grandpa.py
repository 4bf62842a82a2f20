"""GRANDPA finality: justifications checked as Substrate's light clients check them.

The rules are those of `finality_grandpa::validate_commit` and of the justification check around
it; pRuntime follows the same, so what passes here is accepted there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ed25519_zebra

from prbkit._native import core
from prbkit.errors import CodecError, JustificationError

__all__ = [
    "Authorities",
    "Commit",
    "Justification",
    "Precommit",
    "decode_authorities",
    "decode_finality_proof",
    "encode_authorities",
    "signing_message",
    "threshold",
    "verify_justification",
    "verify_justification_async",
]

Authorities = Sequence[tuple[bytes, int]]
"""(ed25519 public key, weight) of each."""

SLICE = 64
"""Signatures checked in one go: the binding holds the GIL, at about 50 µs each."""

SPARE_PRECOMMITS = 1024
"""A justification may hold this many precommits beyond four of each authority. One that a node
makes has at most two of each; the bound is for those that someone made to keep us busy."""


@dataclass(frozen=True, slots=True)
class Precommit:
    """One signed vote: block, signature (64 bytes) and the voter's ed25519 key."""

    target_hash: bytes
    target_number: int
    signature: bytes
    id: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """The block that is finalized and the votes for it or its descendants."""

    target_hash: bytes
    target_number: int
    precommits: tuple[Precommit, ...]


@dataclass(frozen=True, slots=True)
class Justification:
    """A GRANDPA justification; `votes_ancestries` are SCALE headers."""

    round: int
    commit: Commit
    votes_ancestries: tuple[bytes, ...] = ()

    @classmethod
    def decode(cls, encoded: bytes) -> Justification:
        """Read SCALE; raises JustificationError for anything that isn't exactly one."""
        try:
            walker = core.Walker(encoded, "justification")
            round_ = walker.u64()
            target_hash, target_number = walker.take(32), walker.u32()
            precommits = tuple(
                Precommit(walker.take(32), walker.u32(), walker.take(64), walker.take(32))
                for _ in range(walker.count(least=132))
            )
            headers = tuple(walker.header() for _ in range(walker.count(least=98)))
            walker.done()
        except CodecError as error:
            raise JustificationError(
                f"these bytes are no GRANDPA justification: {error}",
                hint="chains with another finality use GRANDPA's engine id too",
            ) from error
        return cls(round_, Commit(target_hash, target_number, precommits), headers)

    def encode(self) -> bytes:
        """Return the SCALE bytes."""
        commit = self.commit
        parts = [
            self.round.to_bytes(8, "little"),
            commit.target_hash,
            commit.target_number.to_bytes(4, "little"),
            core.compact(len(commit.precommits)),
        ]
        for vote in commit.precommits:
            number = vote.target_number.to_bytes(4, "little")
            parts += [vote.target_hash, number, vote.signature, vote.id]
        return b"".join([*parts, core.compact(len(self.votes_ancestries)), *self.votes_ancestries])


def signing_message(target_hash: bytes, target_number: int, round_: int, set_id: int) -> bytes:
    """Return the bytes that a precommit signs."""
    return b"".join(
        [
            b"\x01",
            target_hash,
            target_number.to_bytes(4, "little"),
            round_.to_bytes(8, "little"),
            set_id.to_bytes(8, "little"),
        ]
    )


def threshold(total: int) -> int:
    """Return the weight that finalizes: more than two thirds of `total`."""
    return total - (total - 1) // 3


def decode_authorities(value: bytes, *, versioned: bool = False) -> list[tuple[bytes, int]]:
    """Read an AuthorityList.

    :param versioned: the value of `:grandpa_authorities`, which begins with a version byte (1);
        the value of `Grandpa.Authorities` has none.
    """
    walker = core.Walker(value, "authority list")
    if versioned:
        version = walker.u8()
        if version != 1:
            raise CodecError(f"version {version} of :grandpa_authorities is not known")
    authorities = [(walker.take(32), walker.u64()) for _ in range(walker.count(least=40))]
    walker.done()
    return authorities


def encode_authorities(authorities: Authorities, *, versioned: bool = False) -> bytes:
    """Return the SCALE AuthorityList, behind a version byte where `versioned`."""
    parts = [b"\x01"] if versioned else []
    parts.append(core.compact(len(authorities)))
    for public, weight in authorities:
        parts += [public, weight.to_bytes(8, "little")]
    return b"".join(parts)


def decode_finality_proof(data: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Read an answer of `grandpa_proveFinality`: (block hash, justification, headers), in SCALE.

    The headers are those that the asker lacks; nothing of it is verified.
    """
    walker = core.Walker(data, "finality proof")
    found = walker.take(32)
    justification = walker.blob()
    headers = [walker.header() for _ in range(walker.count(least=98))]
    walker.done()
    return found, justification, headers


def verify_justification(
    encoded: bytes,
    *,
    target_hash: bytes,
    target_number: int,
    authorities: Authorities,
    set_id: int,
) -> None:
    """Check that a justification finalizes exactly that block.

    :param encoded: SCALE justification.
    :param target_hash: hash of the block, 32 bytes.
    :param authorities: the set in force before the block; a key named twice has both weights.
    :param set_id: id of that set.
    :raises JustificationError: saying why it does not.
    """
    for _ in _check(encoded, target_hash, target_number, authorities, set_id):
        pass


async def verify_justification_async(
    encoded: bytes,
    *,
    target_hash: bytes,
    target_number: int,
    authorities: Authorities,
    set_id: int,
) -> None:
    """Check as `verify_justification` does, giving the event loop a turn every few milliseconds."""
    for _ in _check(encoded, target_hash, target_number, authorities, set_id):
        await asyncio.sleep(0)


def _check(
    encoded: bytes, target_hash: bytes, target_number: int, authorities: Authorities, set_id: int
) -> Iterator[None]:
    # All that is cheap first, so that hostile bytes cost no signature checks.
    justification = Justification.decode(encoded)
    commit = justification.commit
    if commit.target_hash != target_hash or commit.target_number != target_number:
        raise JustificationError(
            f"the justification is of block {commit.target_number} (0x{commit.target_hash.hex()}),"
            f" not of {target_number} (0x{bytes(target_hash).hex()})"
        )
    if len(commit.precommits) > 4 * len(authorities) + SPARE_PRECOMMITS:
        raise JustificationError(
            f"{len(commit.precommits)} precommits are too many for {len(authorities)} authorities"
        )
    weights: dict[bytes, int] = {}
    for public, weight in authorities:
        if weight:
            weights[public] = weights.get(public, 0) + weight
    if not weights:
        raise JustificationError("the authority set has no weight")
    if not commit.precommits:
        raise JustificationError("the justification has no precommits")
    parents = _ancestry(justification)
    _check_ghost(commit, parents, weights)
    yield
    for i, vote in enumerate(commit.precommits, 1):
        message = signing_message(vote.target_hash, vote.target_number, justification.round, set_id)
        if not ed25519_zebra.ed_verify(vote.signature, message, vote.id):
            raise JustificationError(
                f"the signature of precommit {i - 1} by 0x{vote.id.hex()} is wrong",
                hint=f"is the block of authority set {set_id}?",
            )
        if i % SLICE == 0:
            yield


def _ancestry(justification: Justification) -> dict[bytes, bytes]:
    """Check the ancestries: all votes lead to the base, all headers are needed. {hash: parent}."""
    votes = justification.commit.precommits
    base = min(votes, key=lambda vote: vote.target_number).target_hash
    parents = {core.blake2b_256(h): h[:32] for h in justification.votes_ancestries}
    visited: set[bytes] = set()
    for vote in votes:
        at = vote.target_hash
        while at != base and at not in visited:
            visited.add(at)
            parent = parents.get(at)
            if parent is None:
                raise JustificationError(
                    f"no header leads from precommit target 0x{vote.target_hash.hex()} "
                    f"to the base 0x{base.hex()}"
                )
            at = parent
    if len(visited) != len(parents):
        raise JustificationError("the justification holds headers that no precommit needs")
    return parents


def _check_ghost(commit: Commit, parents: dict[bytes, bytes], weights: dict[bytes, int]) -> None:
    """Check that the highest block that the members' votes finalize is the commit's target."""
    members = [vote for vote in commit.precommits if vote.id in weights]
    if not members:
        raise JustificationError("no precommit is by a member of the authority set")
    base = min(members, key=lambda vote: vote.target_number).target_hash
    first: dict[bytes, tuple[bytes, int, bytes]] = {}
    equivocators: set[bytes] = set()
    for vote in members:
        key = (vote.target_hash, vote.target_number, vote.signature)
        if first.setdefault(vote.id, key) != key:
            equivocators.add(vote.id)

    # Depth of each block above the members' base, parents before children.
    depth = {base: 0}
    for target, _, _ in first.values():
        path = []
        while target not in depth:
            path.append(target)
            parent = parents.get(target)
            if parent is None:
                raise JustificationError(
                    "a member's precommit is not for the lowest block voted for or above it"
                )
            target = parent
        for block in reversed(path):
            depth[block] = depth[parents[block]] + 1
    everywhere = sum(weights[voter] for voter in equivocators)
    weight = dict.fromkeys(depth, 0)
    for voter, (target, _, _) in first.items():
        if voter not in equivocators:
            weight[target] += weights[voter]
    order = sorted(depth, key=lambda block: -depth[block])
    for block in order:
        if block != base:
            weight[parents[block]] += weight[block]
    needed = threshold(sum(weights.values()))
    finalized = [block for block in order if weight[block] + everywhere >= needed]
    if not finalized:
        raise JustificationError(
            f"the precommits have a weight of {weight[base] + everywhere}, {needed} is needed"
        )
    if finalized[0] != commit.target_hash or (
        len(finalized) > 1 and depth[finalized[1]] == depth[finalized[0]]
    ):
        raise JustificationError(
            f"the precommits finalize 0x{finalized[0].hex()}, not the commit's target"
        )
