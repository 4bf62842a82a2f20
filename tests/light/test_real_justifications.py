"""GRANDPA justifications of Polkadot, Westend and Kusama, and what must not pass for one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from prbkit import blobs
from prbkit._native import core
from prbkit.errors import CodecError, JustificationError
from prbkit.light import (
    AuthoritySet,
    Header,
    Justification,
    decode_authorities,
    encode_authorities,
    threshold,
    verify_justification,
    verify_justification_async,
)

from .data import load, unhex

NAMES = ["polkadot_302592", "westend_5105457", "kusama_8010648"]

SIZE = 32 + 4 + 64 + 32
"""Bytes of a precommit: target's hash and number, signature, id."""


def arguments(data_dir: Path, name: str) -> tuple[bytes, dict[str, Any]]:
    """The justification and its context. Where the set is not known: its signers alone."""
    facts = load(data_dir / "grandpa" / f"{name}.json")
    encoded = (data_dir / "grandpa" / f"{name}.justification.scale").read_bytes()
    if facts["authorities"]:
        authorities = [(unhex(public), weight) for public, weight in facts["authorities"]]
    else:
        authorities = [(unhex(public), 1) for public in facts["signers"]]
        # The rest of Kusama's set is not known by key.
        absent = facts.get("validators", len(authorities)) - len(authorities)
        authorities += [(b"absent" + i.to_bytes(26, "big"), 1) for i in range(absent)]
    return encoded, {
        "target_hash": unhex(facts["targetHash"]),
        "target_number": facts["targetNumber"],
        "authorities": authorities,
        "set_id": facts["setId"],
    }


@pytest.mark.parametrize("name", NAMES)
async def test_real_justifications_hold(data_dir: Path, name: str) -> None:
    encoded, known = arguments(data_dir, name)
    verify_justification(encoded, **known)
    await verify_justification_async(encoded, **known)
    decoded = Justification.decode(encoded)
    facts = load(data_dir / "grandpa" / f"{name}.json")
    assert decoded.encode() == encoded
    assert decoded.round == facts["round"]
    assert len(decoded.commit.precommits) == facts["precommits"]


@pytest.mark.parametrize("name", NAMES)
def test_with_the_next_set_id_they_fail(data_dir: Path, name: str) -> None:
    encoded, known = arguments(data_dir, name)
    for wrong in ({"set_id": known["set_id"] + 1}, {"target_number": known["target_number"] + 1}):
        with pytest.raises(JustificationError):
            verify_justification(encoded, **(known | wrong))
    with pytest.raises(JustificationError, match="is of block"):
        verify_justification(encoded, **(known | {"target_hash": bytes(32)}))


def assert_fails_with_bits_changed(
    encoded: bytes, known: dict[str, Any], bits: Iterable[int]
) -> None:
    for bit in bits:
        changed = bytearray(encoded)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(JustificationError):
            verify_justification(bytes(changed), **known)


@pytest.mark.parametrize("name", NAMES[:2])
def test_with_any_bit_changed_they_fail(data_dir: Path, name: str) -> None:
    encoded, known = arguments(data_dir, name)
    assert_fails_with_bits_changed(encoded, known, range(8 * len(encoded)))


def test_with_bits_of_every_part_changed_the_big_one_fails(data_dir: Path) -> None:
    """A bit of each byte of its frame and of each of the 608 precommits, in each of their parts."""
    encoded, known = arguments(data_dir, NAMES[2])
    head = 8 + 32 + 4 + 2  # round, target, compact number of precommits
    assert len(encoded) == head + 608 * SIZE + 1
    frame = [*range(head), len(encoded) - 1]
    assert_fails_with_bits_changed(encoded, known, [8 * at + at % 8 for at in frame])
    parts = [(0, 32), (32, 36), (36, 100), (100, SIZE)]
    votes = []
    for i in range(608):
        # A wrong signature costs the check of all before it, so of the later ones only some.
        start, end = parts[i % 4 if i < 200 or i % 20 < 4 else i % 2]
        votes.append(8 * (head + i * SIZE + start) + i * 37 % (8 * (end - start)))
    assert_fails_with_bits_changed(encoded, known, votes)


def test_the_gossiped_commit_holds_what_the_justification_holds(data_dir: Path) -> None:
    """Round, set id, target, precommits, then signatures and ids apart."""
    encoded, known = arguments(data_dir, NAMES[1])
    votes = Justification.decode(encoded)
    raw = (data_dir / "grandpa" / "westend_5105457.commit_message.scale").read_bytes()
    walker = core.Walker(raw[raw.index(votes.round.to_bytes(8, "little")) :], "commit message")
    assert (walker.u64(), walker.u64()) == (votes.round, known["set_id"])
    assert (walker.take(32), walker.u32()) == (known["target_hash"], known["target_number"])
    targets = [(walker.take(32), walker.u32()) for _ in range(walker.count())]
    signed = [(walker.take(64), walker.take(32)) for _ in range(walker.count())]
    assert [(v.target_hash, v.target_number) for v in votes.commit.precommits] == targets
    assert [(v.signature, v.id) for v in votes.commit.precommits] == signed


@pytest.mark.parametrize(("name", "step"), [(NAMES[0], 1), (NAMES[1], 1), (NAMES[2], 13)])
def test_cut_off_or_with_bytes_left_over_they_fail(data_dir: Path, name: str, step: int) -> None:
    encoded, known = arguments(data_dir, name)
    for end in range(0, len(encoded), step):
        with pytest.raises(JustificationError):
            verify_justification(encoded[:end], **known)
    with pytest.raises(JustificationError, match="left over"):
        verify_justification(encoded + b"\0", **known)


def test_one_vote_too_few(data_dir: Path) -> None:
    encoded, known = arguments(data_dir, "polkadot_302592")
    votes = Justification.decode(encoded)
    fewer = Justification(
        votes.round,
        type(votes.commit)(
            votes.commit.target_hash, votes.commit.target_number, votes.commit.precommits[1:]
        ),
    )
    with pytest.raises(JustificationError, match="5 is needed"):
        verify_justification(fewer.encode(), **known)


def test_the_justification_of_another_finality_is_refused_cleanly(data_dir: Path) -> None:
    """AlephBFT uses GRANDPA's engine id for justifications of its own."""
    answer = load(data_dir / "json_rpc" / "chain_getBlock_with_justifications.json")["result"]
    header = blobs.header_from_json(answer["block"]["header"])
    expected = "67b5ddfeb077a2f6e0bbfa5d9e134940aaaacec8ea12ff3b8b007efb046bc011"
    assert blobs.header_hash(header).hex() == expected
    [(engine, encoded)] = [(bytes(a), bytes(b)) for a, b in answer["justifications"]]
    assert engine == b"FRNK"
    with pytest.raises(JustificationError, match="no GRANDPA justification"):
        AuthoritySet(((bytes(32), 1),), 1).verify(header, encoded)


def test_authority_sets(data_dir: Path) -> None:
    """The client's AuthoritySet: current set, pending changes, and the history of all sets."""
    for facts in load(data_dir / "grandpa" / "authority_sets.json"):
        raw = (data_dir / "grandpa" / facts["file"]).read_bytes()
        walker = core.Walker(raw, "authority set")
        for _ in range(walker.count(least=40)):
            walker.take(40)
        walker.u64()
        found = AuthoritySet.decode(raw[: walker.offset])
        assert found.set_id == facts["setId"]
        assert len(found.authorities) == facts["authorities"]
        assert sum(weight for _, weight in found.authorities) == facts["totalWeight"]
        assert found.authorities[0][0] == unhex(facts["firstAuthority"])
        assert found.authorities[-1][0] == unhex(facts["lastAuthority"])
        assert found.encode() == raw[: walker.offset]
        for end in range(walker.offset):
            with pytest.raises(CodecError):
                AuthoritySet.decode(raw[:end])
        # No pending standard changes (a fork tree: roots, best finalized), no forced ones.
        assert walker.count() == facts["pendingStandardChanges"] == 0
        if walker.option():
            walker.u32()
        assert walker.count() == facts["pendingForcedChanges"] == 0
        history = [(walker.u64(), walker.u32()) for _ in range(walker.count(least=12))]
        walker.done()
        assert len(history) == facts["authoritySetChanges"]
        assert [list(history[0]), list(history[-1])] == [facts["firstChange"], facts["lastChange"]]
        assert [set_id for set_id, _ in history] == list(range(facts["setId"]))
        header = Header.decode(unhex(facts["finalizedHeader"]))
        assert (header.hash, header.number) == (
            unhex(facts["finalizedHash"]),
            facts["finalizedNumber"],
        )
        assert found.after(header.scale) == found


def test_the_set_after_polkadot_512271(data_dir: Path) -> None:
    header = (data_dir / "headers" / "polkadot_512271.header.scale").read_bytes()
    after = AuthoritySet(((bytes(32), 1),), 50).after(header)
    assert after.set_id == 51
    assert len(after.authorities) == 197


def test_authority_lists() -> None:
    authorities = [(bytes([i]) * 32, i) for i in range(70)]
    for versioned in (True, False):
        encoded = encode_authorities(authorities, versioned=versioned)
        assert decode_authorities(encoded, versioned=versioned) == authorities
    assert [threshold(n) for n in (1, 2, 3, 4, 6, 900)] == [1, 2, 3, 3, 5, 601]
