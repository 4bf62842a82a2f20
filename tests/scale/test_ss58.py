"""SS58 against polkadot.js's cases, and its laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import CodecError
from prbkit.scale import ss58
from tests.scale.conftest import Load

ALICE = bytes.fromhex("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d")

prefixes = st.integers(0, 16383).filter(lambda prefix: prefix not in (46, 47))
payloads = st.sampled_from([1, 2, 4, 8, 32, 33]).flatmap(
    lambda size: st.binary(min_size=size, max_size=size)
)


def test_known_addresses(load: Load) -> None:
    keys = load("keys/keys.json")
    for case in keys["ss58"]:
        public = bytes.fromhex(case["publicKey"][2:])
        assert ss58.encode(public, case["prefix"]) == case["address"]
        assert ss58.decode(case["address"]) == (public, case["prefix"])
    for address in keys["ss58Invalid"]:
        with pytest.raises(CodecError):
            ss58.decode(address)
    for case in keys["suri"]:
        if "accountId" in case:
            account = bytes.fromhex(case["accountId"][2:])
            for prefix in (42, 30, 0, 2):
                assert ss58.encode(account, prefix) == case[f"address{prefix}"]


@given(payloads, prefixes)
def test_an_address_reads_back(payload: bytes, prefix: int) -> None:
    address = ss58.encode(payload, prefix)
    assert ss58.decode(address) == (payload, prefix)
    assert ss58.decode(address, prefix).payload == payload
    with pytest.raises(CodecError, match="not"):
        ss58.decode(address, prefix + 1)


@given(st.text(st.sampled_from("123456789ABCabcxyz0OIl é"), max_size=70))
def test_any_text_is_an_address_or_an_error(text: str) -> None:
    try:
        found = ss58.decode(text)
    except CodecError:
        return
    assert ss58.decode(ss58.encode(found.payload, found.prefix)) == found


@given(st.integers(0, 46), st.sampled_from("123456789ABCDEFGHJKLMNPQRSTUVWXYZ"))
def test_a_mistyped_address_is_refused(at: int, character: str) -> None:
    address = ss58.encode(ALICE)
    typo = address[:at] + character + address[at + 1 :]
    if typo != address:
        with pytest.raises(CodecError):
            ss58.decode(typo)


@pytest.mark.parametrize("size", [0, 3, 5, 16, 31, 34, 64])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(CodecError, match=f"cannot hold {size} bytes"):
        ss58.encode(bytes(size))


@pytest.mark.parametrize("prefix", [-1, 46, 47, 16384])
def test_reserved_and_impossible_prefixes_are_refused(prefix: int) -> None:
    with pytest.raises(CodecError, match=f"no prefix {prefix}"):
        ss58.encode(ALICE, prefix)


def test_endless_text_is_refused_at_once() -> None:
    with pytest.raises(CodecError, match="no SS58 address has 1000000 characters"):
        ss58.decode("5" * 1_000_000)
