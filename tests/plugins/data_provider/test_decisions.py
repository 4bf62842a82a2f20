"""The provider's pure parts: what to fetch next, whom to ask, frames, and marks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import StoreError
from prbkit.interfaces import Head
from prbkit.light import AuthoritySet
from prbkit_plugins.data_provider.facts import RelayTip, decode_head, encode_head
from prbkit_plugins.data_provider.frames import seal, unseal
from prbkit_plugins.data_provider.sync import Idle, Prove, Scan, next_relay, para_batches
from prbkit_plugins.data_provider.trust import Trust

_NUMBERS = st.integers(0, 2**31)


@given(_NUMBERS, st.booleans(), _NUMBERS, st.booleans(), st.integers(1, 5000))
def test_the_next_relay_step_begins_behind_the_tip_and_stays_below_the_target(
    number: int, ends_set: bool, target: int, proves: bool, scan: int
) -> None:
    match next_relay(number, ends_set, target, proves=proves, scan=scan):
        case Idle():
            assert target <= number
        case Prove(after, first):
            assert proves
            assert first == number + 1 <= target
            # A proof asked with the last block of a set would end at that block.
            assert after == (first if ends_set else number)
        case Scan(first, last):
            assert not proves
            assert first == number + 1 <= last <= min(target, number + scan)


@given(st.integers(0, 10**6), st.integers(0, 500), st.integers(1, 100))
def test_para_batches_cover_each_block_once_in_order(tip: int, more: int, size: int) -> None:
    batches = para_batches(tip, tip + more, size)
    blocks = [n for first, last in batches for n in range(first, last + 1)]
    assert blocks == list(range(tip + 1, tip + more + 1))
    assert all(last - first < size for first, last in batches)


@dataclass
class _View:
    url: str


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_an_endpoint_that_was_caught_is_passed_over_and_longer_each_time(caught: list[str]) -> None:
    trust, views, now = Trust(10), [_View(url) for url in "abc"], 0.0
    pauses: dict[str, float] = {}
    for url in caught:
        pause = trust.refuse(url, now)
        assert pause >= pauses.get(url, 10)
        pauses[url] = pause
        assert url not in [view.url for view in trust.trusted(views, now)]
        assert url in [view.url for view in trust.trusted(views, now + pause)]
        now += 1
    order = [view.url for view in trust.trusted(views, now)]
    assert order == sorted(order)
    assert trust.offences() == {url: caught.count(url) for url in set(caught)}


@given(st.binary(max_size=3000) | st.integers(0, 100_000).map(bytes))
def test_a_frame_gives_back_its_document(body: bytes) -> None:
    assert unseal(seal(body), "x") == body


@given(st.binary(min_size=1, max_size=600) | st.integers(513, 2000).map(bytes), st.data())
def test_a_frame_with_any_bit_changed_or_cut_is_refused(body: bytes, data: st.DataObject) -> None:
    frame = bytearray(seal(body))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StoreError, match="para header 7"):
        unseal(bytes(frame), "para header 7")
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StoreError):
        unseal(bytes(frame[: data.draw(st.integers(0, len(frame) - 1))]), "x")


@given(
    _NUMBERS,
    st.binary(min_size=32, max_size=32),
    st.booleans(),
    st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1)), max_size=5),
    st.integers(0, 2**64 - 1),
)
def test_marks_come_back_and_hostile_ones_are_refused(
    number: int,
    digest: bytes,
    ends_set: bool,
    authorities: list[tuple[bytes, int]],
    set_id: int,
) -> None:
    head = Head(number, digest)
    sets = AuthoritySet(tuple(authorities), set_id)
    tip = RelayTip(number, digest, sets, ends_set, head)
    encoded = tip.encode()
    assert RelayTip.decode(encoded) == tip
    assert decode_head(encode_head(head)) == head
    for wrong in (encoded[:-1], encoded + b"x", encoded[:20], b""):
        with pytest.raises(StoreError):
            RelayTip.decode(wrong)
    with pytest.raises(StoreError):
        decode_head(b"short")
