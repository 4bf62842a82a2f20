"""GRANDPA justifications of Polkadot, Westend and Kusama, and what must not pass for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prbkit import blobs
from prbkit._native import core
from prbkit.errors import JustificationError
from prbkit.light import (
    AuthoritySet,
    Justification,
    decode_authorities,
    encode_authorities,
    threshold,
    verify_justification,
    verify_justification_async,
)

from .data import load, unhex

NAMES = ["polkadot_302592", "westend_5105457", "kusama_8010648"]


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


@pytest.mark.parametrize(("name", "step"), [(NAMES[0], 1), (NAMES[1], 1), (NAMES[2], 4001)])
def test_with_any_bit_changed_they_fail(data_dir: Path, name: str, step: int) -> None:
    encoded, known = arguments(data_dir, name)
    for at in range(0, len(encoded), step):
        for bit in range(8) if step == 1 and at < 60 else (at % 8,):
            changed = bytearray(encoded)
            changed[at] ^= 1 << bit
            with pytest.raises(JustificationError):
                verify_justification(bytes(changed), **known)


@pytest.mark.parametrize("name", NAMES[:2])
def test_cut_off_or_with_bytes_left_over_they_fail(data_dir: Path, name: str) -> None:
    encoded, known = arguments(data_dir, name)
    for end in range(len(encoded)):
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
    """The current authorities open the client's AuthoritySet, followed by the set id."""
    for facts in load(data_dir / "grandpa" / "authority_sets.json"):
        raw = (data_dir / "grandpa" / facts["file"]).read_bytes()
        size = len(core.compact(facts["authorities"])) + 40 * facts["authorities"] + 8
        found = AuthoritySet.decode(raw[:size])
        assert found.set_id == facts["setId"]
        assert sum(weight for _, weight in found.authorities) == facts["totalWeight"]
        assert found.authorities[0][0] == unhex(facts["firstAuthority"])
        assert found.encode() == raw[:size]


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
