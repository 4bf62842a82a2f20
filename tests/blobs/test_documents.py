"""Documents and the index: what is written is read back, and nothing else is."""

from __future__ import annotations

import contextlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from prbkit.blobs import (
    CommittedIndex,
    Genesis,
    RelaySegment,
    compress,
    decompress,
    header_number,
)
from prbkit.blobs.documents import changes_key, key_number, para_key, relay_key
from prbkit.errors import CodecError

from .model import Chain

LENGTHS = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 3), st.booleans()), min_size=1, max_size=8
)


@given(LENGTHS)
def test_a_segment_is_read_back(lengths: list[tuple[int, int, bool]]) -> None:
    chain = Chain.make(3, lengths)
    for segment in chain.segments:
        assert RelaySegment.decode(segment.encode()) == segment
        numbers = [header_number(header) for header in segment.headers()]
        assert numbers == list(range(segment.first, segment.last + 1))
        assert segment.proof_nodes() == [f"para head {segment.para_number}".encode()]
        change = segment.authority_set_change()
        assert (change is None) == (segment.change is None)


@given(LENGTHS, st.data())
def test_a_segment_that_is_cut_or_lengthened_is_refused(
    lengths: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    encoded = Chain.make(3, lengths).segments[0].encode()
    with pytest.raises(CodecError):
        RelaySegment.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(CodecError):
        RelaySegment.decode(encoded + b"\0")
    changed = bytearray(encoded)
    changed[data.draw(st.integers(0, 40))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(CodecError):
        RelaySegment.decode(bytes(changed))


def test_segments_of_headers_that_do_not_follow_are_refused() -> None:
    chain = Chain.make(3, [(4, 1, False)])
    headers = chain.segments[0].headers()
    for wrong in ([], headers[::-1], [headers[0], headers[2]], [headers[0] + b"\0"]):
        with pytest.raises(CodecError):
            RelaySegment.make(wrong, set_id=1, justification=b"", para_number=None, proof=[])
    none = RelaySegment.make(headers, set_id=1, justification=b"j", para_number=None, proof=[])
    assert RelaySegment.decode(none.encode()) == none


def test_genesis() -> None:
    genesis = Genesis(2004, 17, b"info" * 300, b"state")
    assert Genesis.decode(genesis.encode()) == genesis
    for bad in (b"", b"\2" + genesis.encode()[1:], genesis.encode()[:-1], genesis.encode() + b"\0"):
        with pytest.raises(CodecError):
            Genesis.decode(bad)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_keys_sort_as_their_numbers(numbers: list[int]) -> None:
    for make in (relay_key, para_key, changes_key):
        assert sorted(map(make, numbers)) == list(map(make, sorted(numbers)))
        assert [key_number(make(number)) for number in numbers] == numbers


def test_compression() -> None:
    data = b"a header like another " * 500
    packed = compress(data)
    assert len(packed) < len(data) // 10
    assert decompress(packed) == data
    assert decompress(compress(b"")) == b""
    dictionary = zstandard.ZstdCompressionDict(data)
    assert decompress(compress(data, dictionary=dictionary), dictionary=dictionary) == data
    with pytest.raises(CodecError, match="11000 bytes"):
        decompress(packed, limit=100)
    for bad in (b"", b"no frame", packed[:-3], packed + b"more"):
        with pytest.raises(CodecError):
            decompress(bad)


@given(st.binary(max_size=60))
def test_hostile_frames(data: bytes) -> None:
    with contextlib.suppress(CodecError):
        decompress(b"\x28\xb5\x2f\xfd" + data, limit=1 << 20)


@given(LENGTHS, st.integers(0, 40), st.integers(0, 20), st.integers(1, 5))
def test_slices_put_together_give_the_index(
    lengths: list[tuple[int, int, bool]], relay: int, para: int, limit: int
) -> None:
    chain = Chain.make(3, lengths)
    whole = chain.index(len(chain.segments), len(chain.para))
    assert CommittedIndex.decode(whole.slice(0, 0)) == whole
    copy = CommittedIndex.decode(whole.slice(0, 0, limit=0))
    while copy.extend(whole.slice(copy.relay_next, copy.para_next, limit)):
        pass
    assert copy == whole
    # A picture that begins later is the same from there on.
    part = CommittedIndex.decode(whole.slice(relay, para))
    part.extend(whole.slice(part.relay_next, part.para_next))
    for number in range(part.relay_first, part.relay_next):
        mine, theirs = part.find(number), whole.find(number)
        assert mine is not None
        assert theirs is not None
        assert part.segment(mine) == whole.segment(theirs)
    for number in range(part.para_first, part.para_next):
        assert part.para_size(number, number) == whole.para_size(number, number)
        assert part.changes_size(number, number) == whole.changes_size(number, number)


def test_a_slice_that_leaves_a_gap_is_refused() -> None:
    chain = Chain.make(3, [(2, 1, False)] * 5)
    whole = chain.index(5, 6)
    short = chain.index(1, 1)
    before = short.slice(0, 0)
    for bad in (whole.slice(9, 1), whole.slice(4, 3)):
        with pytest.raises(CodecError):
            short.extend(bad)
        assert short.slice(0, 0) == before
    assert short.extend(whole.slice(6, 1)) == 4 + 5
    assert short == whole
    assert short.extend(whole.slice(0, 0)) == 0


def test_entries_must_follow_each_other() -> None:
    index = CommittedIndex(5)
    for first, last in ((6, 7), (4, 5), (5, 4)):
        with pytest.raises(CodecError):
            index.add_segment(first, last, set_id=1, para_number=None, size=1, tail_size=1)
    index.add_segment(5, 6, set_id=3, para_number=4, size=1, tail_size=1)
    for set_id, para in ((2, 4), (3, 3), (3, None)):
        with pytest.raises(CodecError, match="goes back"):
            index.add_segment(7, 8, set_id=set_id, para_number=para, size=1, tail_size=1)
    with pytest.raises(CodecError):
        index.add_para(1, header_size=1, changes_size=1)
    assert (index.relay_next, index.para_next) == (7, 0)


@given(st.binary(max_size=120))
def test_any_bytes_as_documents(data: bytes) -> None:
    for decode in (RelaySegment.decode, Genesis.decode, CommittedIndex.decode):
        for given_ in (data, b"\1" + data):
            with contextlib.suppress(CodecError):
                decode(given_)
