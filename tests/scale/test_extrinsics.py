"""Eras, signed extensions by the metadata, and extrinsics that cannot be made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import CodecError
from prbkit.scale import (
    Era,
    Metadata,
    decode_era,
    decode_extrinsic,
    encode_era,
    signed_extrinsic,
    signing_payload,
    unsigned_extrinsic,
)
from prbkit.testing.strategies import calls
from tests.scale.building import Types, compact, extension

ACCOUNT = bytes(range(32))

SIGNING: dict[str, Any] = {
    "era": (64, 100),
    "nonce": 1,
    "tip": 2,
    "spec_version": 3,
    "transaction_version": 4,
    "genesis_hash": b"\5" * 32,
    "checkpoint_hash": b"\6" * 32,
}


@given(st.integers(2, 16), st.integers(0, 1 << 32))
def test_an_era_holds_the_block_it_begins_at(exponent: int, current: int) -> None:
    period = 1 << exponent
    era = decode_era(encode_era((period, current)))
    assert era is not None
    assert era.period == period
    step = max(period >> 12, 1)
    assert era.phase == current % period // step * step
    assert era.birth(current) == current - current % step
    assert era.birth(era.birth(current) + period - 1) == era.birth(current)
    assert era.death(current) == era.birth(current) + period


def test_eras_as_the_runtime_knows_them() -> None:
    assert encode_era(None) == b"\0"
    assert decode_era(b"\0") is None
    assert encode_era((64, 42)) == bytes([5 + 42 % 16 * 16, 42 // 16])
    assert decode_era(encode_era((32768, 20000))) == Era(32768, 20000)
    for period in (0, 1, 2, 3, 5, 63, 131072, -64):
        with pytest.raises(CodecError, match=f"era period is {period}"):
            encode_era((period, 0))
    with pytest.raises(CodecError, match="begins at block -1"):
        encode_era((64, -1))
    for raw in (b"", b"\1", b"\1\0\0", b"\0\0", b"\xf1\xff", b"\1\4"):
        with pytest.raises(CodecError):
            decode_era(raw)


@given(data=st.data())
def test_extrinsics_are_taken_apart_as_they_were_made(
    any_metadata: Metadata, data: st.DataObject
) -> None:
    md = any_metadata
    pallet, name, args = data.draw(calls(md))
    call = md.call(pallet, name, **args)
    found = decode_extrinsic(md, unsigned_extrinsic(md, call))
    assert (found.pallet, found.name, found.args, found.signed) == (pallet, name, args, None)
    crypto, size = data.draw(st.sampled_from([("ed25519", 64), ("sr25519", 64), ("ecdsa", 65)]))
    signature = data.draw(st.binary(min_size=size, max_size=size))
    era = data.draw(st.none() | st.tuples(st.just(64), st.integers(0, 1 << 32)))
    nonce = data.draw(st.integers(0, (1 << 32) - 1))
    tip = data.draw(st.integers(0, (1 << 128) - 1))
    raw = signed_extrinsic(
        md,
        call,
        account=ACCOUNT,
        signature=signature,
        crypto=crypto,  # type: ignore[arg-type]
        era=era,
        nonce=nonce,
        tip=tip,
    )
    found = decode_extrinsic(md, raw)
    assert found.call == call
    assert found.signed is not None
    assert found.signed.account == ACCOUNT
    assert found.signed.signature == {crypto.capitalize(): signature}
    assert (found.signed.nonce, found.signed.tip) == (nonce, tip)
    assert found.signed.era == (None if era is None else Era(64, era[1] % 64))
    signing = SIGNING | {"era": era, "nonce": nonce, "tip": tip}
    payload = signing_payload(md, call, **signing)
    assert payload.startswith(call)
    head = (1, 2, 4)[raw[0] & 3] + len(b"\x84\0") + len(ACCOUNT) + len(b"\1") + size
    extra = raw[head : len(raw) - len(call)]
    assert payload[len(call) :].startswith(extra)


class Extended:
    """Metadata with one signed extension of a chosen kind."""

    def __init__(self, identifier: str) -> None:
        t = Types()
        self.u8, self.u32 = t.primitive("u8"), t.primitive("u32")
        self.unit, self.struct = t.tuple(), t.struct()
        self.nested = t.struct(("a", self.unit), ("b", self.struct))
        self.hash = t.array(self.u8, 32)
        compact_u128 = t.compact(t.primitive("u128"))
        asset = t.option(self.u32)
        self.asset_tip = t.struct(("tip", compact_u128), ("asset_id", asset))
        self.mode = t.enum("Mode", Disabled=(0, []), Enabled=(1, []))
        self.metadata_hash = t.option(self.hash)
        self.types = t
        self.identifier = identifier

    def payload(self, extra: int, additional: int) -> bytes:
        md = self.types.metadata(extensions=[extension(self.identifier, extra, additional)])
        return signing_payload(md, b"call", **SIGNING)


def test_an_unknown_extension_is_taken_only_where_it_adds_nothing() -> None:
    e = Extended("CheckMystery")
    for empty in (e.unit, e.struct, e.nested):
        assert e.payload(empty, empty) == b"call"
    for extra, additional in ((e.u8, e.unit), (e.unit, e.u8), (e.asset_tip, e.unit)):
        with pytest.raises(CodecError, match="signed extension CheckMystery"):
            e.payload(extra, additional)


def test_known_extensions_add_what_their_types_say() -> None:
    e = Extended("ChargeAssetTxPayment")
    assert e.payload(e.asset_tip, e.unit) == b"call\x08\0"
    e = Extended("CheckMetadataHash")
    assert e.payload(e.mode, e.metadata_hash) == b"call\0\0"
    e = Extended("CheckGenesis")
    assert e.payload(e.unit, e.hash) == b"call" + b"\5" * 32
    e = Extended("CheckMortality")
    with pytest.raises(CodecError, match="signed extension CheckMortality"):
        e.payload(e.unit, e.hash)
    e = Extended("CheckSpecVersion")
    assert e.payload(e.unit, e.u32) == b"call\3\0\0\0"


def test_what_cannot_be_signed_is_refused(khala: Metadata) -> None:
    for change in (
        {"nonce": -1},
        {"nonce": 1 << 32},
        {"tip": 1 << 128},
        {"spec_version": 1 << 32},
        {"transaction_version": -1},
        {"genesis_hash": b""},
        {"checkpoint_hash": bytes(33)},
        {"era": (63, 0)},
    ):
        with pytest.raises(CodecError):
            signing_payload(khala, b"\0\0", **(SIGNING | change))


def test_what_cannot_be_assembled_is_refused(khala: Metadata) -> None:
    parts: dict[str, Any] = {
        "account": ACCOUNT,
        "signature": bytes(64),
        "crypto": "sr25519",
        "era": None,
        "nonce": 0,
        "tip": 0,
    }
    for change in (
        {"account": bytes(33)},
        {"signature": bytes(65)},
        {"crypto": "ecdsa"},
        {"crypto": "rsa"},
    ):
        with pytest.raises(CodecError):
            signed_extrinsic(khala, b"\0\0", **(parts | change))


@pytest.mark.parametrize(
    "body", [b"", b"\4", b"\x84", b"\5\0\0", b"\x04\xff\0", b"\x04\0\xff", b"\x84" + bytes(200)]
)
def test_what_is_no_extrinsic_is_refused(khala: Metadata, body: bytes) -> None:
    with pytest.raises(CodecError):
        decode_extrinsic(khala, compact(len(body)) + body)
    with pytest.raises(CodecError):
        decode_extrinsic(khala, body)


@given(data=st.data())
def test_hostile_extrinsics_and_events_are_values_or_errors(
    any_metadata: Metadata, data: st.DataObject
) -> None:
    md = any_metadata
    body = data.draw(st.sampled_from([b"", b"\4", b"\x84\0"])) + data.draw(st.binary(max_size=200))
    for read in (
        lambda: decode_extrinsic(md, compact(len(body)) + body),
        lambda: md.decode_events(body),
        lambda: md.decode_events(compact(3) + body, {"System"}),
        lambda: md.decode_call(body),
    ):
        try:
            read()
        except CodecError:
            continue
