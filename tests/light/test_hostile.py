"""Proofs, justifications, headers and authority lists that somebody hostile made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit._native import core
from prbkit.errors import CodecError, JustificationError, ProofError, VerificationError
from prbkit.light import (
    AuthoritySet,
    Header,
    Justification,
    ProofReader,
    Trie,
    check_chain,
    decode_authorities,
    decode_finality_proof,
    encode_authorities,
    ordered_root,
    read_proof,
    scheduled_change,
    verify_justification,
)
from tests.hostile import CLAIMS, changed, little_memory, settle

from .test_grandpa import ABOVE, MAIN, SET, SET_ID, public, scheduled, vote, with_logs
from .test_trie import KEYS, PAIRS, VERSIONS, blake

AUTHORITIES = [(public(i), 1) for i in range(4)]
JUSTIFICATION = Justification(
    9,
    Justification.decode(bytes(44) + b"\0\0").commit.__class__(
        MAIN[2].hash, MAIN[2].number, tuple(vote(i, header) for i, header in ABOVE.votes)
    ),
    tuple(header.scale for header in ABOVE.ancestries),
).encode()
FINALITY_PROOF = bytes(32) + b"\x0cabc" + b"\x08" + MAIN[0].scale + MAIN[1].scale
HEADER = with_logs(b"\x08", scheduled(0), b"\x06BABE\x08ab")


def verify(data: bytes) -> None:
    verify_justification(
        data,
        target_hash=MAIN[2].hash,
        target_number=MAIN[2].number,
        authorities=AUTHORITIES,
        set_id=SET_ID,
    )


def test_the_samples_are_valid() -> None:
    verify(JUSTIFICATION)
    assert decode_finality_proof(FINALITY_PROOF)[1:] == (b"abc", [MAIN[0].scale, MAIN[1].scale])
    assert scheduled_change(HEADER) is not None


@given(changed([JUSTIFICATION]))
def test_a_changed_justification_never_holds(data: bytes) -> None:
    if data == JUSTIFICATION:
        return
    with pytest.raises(JustificationError):
        verify(data)


def test_each_bit_of_a_justification_with_ancestries_counts() -> None:
    for bit in range(8 * len(JUSTIFICATION)):
        data = bytearray(JUSTIFICATION)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(JustificationError):
            verify(bytes(data))
    for end in range(len(JUSTIFICATION)):
        with pytest.raises(JustificationError):
            verify(JUSTIFICATION[:end])


@given(changed([JUSTIFICATION, FINALITY_PROOF, HEADER, encode_authorities(SET)]) | st.binary())
def test_what_is_read_is_written_the_same(data: bytes) -> None:
    justification = settle(Justification.decode, data, error=JustificationError)
    assert justification is None or justification.encode() == data
    header = settle(Header.decode, data, error=CodecError)
    assert header is None or header.scale == data
    authorities = settle(decode_authorities, data, error=CodecError)
    assert authorities is None or encode_authorities(authorities) == data
    versioned = settle(decode_authorities, data, versioned=True, error=CodecError)
    assert versioned is None or encode_authorities(versioned, versioned=True) == data
    found = settle(AuthoritySet.decode, data, error=CodecError)
    assert found is None or found.encode() == data
    proof = settle(decode_finality_proof, data, error=CodecError)
    if proof is not None:
        block, votes, headers = proof
        parts = [block, core.compact(len(votes)), votes, core.compact(len(headers)), *headers]
        assert b"".join(parts) == data


@given(changed([HEADER]))
def test_changed_headers_schedule_something_or_nothing_or_are_refused(data: bytes) -> None:
    settle(scheduled_change, data, error=CodecError)
    settle(AuthoritySet(((bytes(32), 1),), 1).after, data, error=(CodecError, VerificationError))
    settle(check_chain, [data], bytes(32), 1, error=VerificationError)
    settle(core.header_number, data, error=CodecError)


@pytest.mark.parametrize("claim", CLAIMS)
def test_claimed_lengths_take_no_memory(claim: bytes) -> None:
    for sample in (JUSTIFICATION, FINALITY_PROOF, HEADER, encode_authorities(SET)):
        with little_memory():
            for at in range(len(sample)):
                data = sample[:at] + claim + sample[at + 1 :]
                settle(Justification.decode, data, error=JustificationError)
                settle(decode_finality_proof, data, error=CodecError)
                settle(scheduled_change, data, error=CodecError)
                settle(decode_authorities, data, error=CodecError)


@given(PAIRS.filter(bool), VERSIONS, st.data())
def test_a_proof_with_nodes_changed_or_lost_proves_the_same_or_nothing(
    pairs: dict[bytes, bytes], version: int, data: st.DataObject
) -> None:
    trie = Trie(pairs.items(), version=version)
    keys = data.draw(st.lists(st.sampled_from(sorted(pairs)) | KEYS, min_size=1, max_size=4))
    nodes = trie.proof(keys)
    bad = [data.draw(st.just(node) | changed([node])) for node in nodes]
    bad += data.draw(st.lists(st.binary(max_size=40), max_size=3))
    bad = data.draw(st.permutations(bad))
    reader = ProofReader(trie.root, bad)
    for key in [*keys, *pairs]:
        try:
            found = reader.get(key)
        except ProofError:
            continue
        assert found == pairs.get(key)


@given(PAIRS.filter(bool), VERSIONS, st.data())
def test_a_proof_of_a_child_with_nodes_changed_proves_the_same_or_nothing(
    pairs: dict[bytes, bytes], version: int, data: st.DataObject
) -> None:
    trie = Trie([(b"a", b"1")], [(b"kid", pairs.items())], version)
    key = data.draw(st.sampled_from(sorted(pairs)))
    nodes = [data.draw(st.just(n) | changed([n])) for n in trie.proof([key], child=b"kid")]
    try:
        found = read_proof(trie.root, nodes, key, child=b"kid")
    except ProofError:
        return
    assert found == pairs[key]


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=6), st.binary(max_size=6))
def test_any_nodes_under_their_own_root_end_in_a_value_or_an_error(
    nodes: list[bytes], key: bytes
) -> None:
    root = blake(nodes[0])
    settle(read_proof, root, nodes, key, error=ProofError)
    settle(read_proof, root, nodes, key, b"kid", error=ProofError)


def test_a_proof_that_leads_in_a_circle_does_not_exist_but_a_long_one_ends() -> None:
    """Branches of one child each, as deep as anybody likes: the key ends the walk."""
    leaf = b"\x41\x01\x04v"
    nodes, child = [leaf], leaf
    for _ in range(3000):
        reference = child if len(child) < 32 else blake(child)
        child = b"\x80\x01\x00" + core.compact(len(reference)) + reference
        nodes.append(child)
    for key in (b"", bytes(10), bytes(1500), bytes(4000), b"\xff" * 2000):
        settle(read_proof, blake(child), nodes, key, error=ProofError)


@given(st.lists(st.binary(max_size=100), max_size=300))
def test_any_extrinsics_have_a_root(items: list[bytes]) -> None:
    assert len(ordered_root(items)) == 32
