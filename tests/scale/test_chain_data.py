"""Events, extrinsics, messages, storage and blocks of real chains, read and made again."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from prbkit.errors import CodecError
from prbkit.scale import (
    Era,
    Event,
    Metadata,
    decode_extrinsic,
    encode_era,
    signed_extrinsic,
    signing_payload,
    ss58,
    unsigned_extrinsic,
)
from prbkit.testing.contracts.signer import verify_signature
from tests.scale.conftest import Load, LoadMetadata
from tests.scale.oracle import same, same_fields


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def blake2b_256(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def assert_events(md: Metadata, raw: bytes, theirs: list[dict[str, Any]]) -> list[Event]:
    events = md.decode_events(raw)
    assert len(events) == len(theirs)
    for event, record in zip(events, theirs, strict=True):
        assert (event.pallet, event.name) == (record["module_id"], record["event_id"])
        phase = record["phase"]
        index = record["extrinsic_idx"]
        assert event.phase == (phase if index is None else {phase: index})
        assert event.extrinsic == index
        assert event.topics == [unhex(topic) for topic in record["topics"]]
        fields = md.variants(md.pallet(event.pallet).events)[event.name].fields
        if fields:
            assert same_fields(md, fields, event.fields, record["attributes"]), (event, record)
        else:
            assert event.fields == ()
    value = md.decode_storage("System", "Events", raw)
    assert md.encode_storage("System", "Events", value) == raw
    for pallet in {event.pallet for event in events}:
        alone = md.decode_events(raw, {pallet})
        assert alone == [event for event in events if event.pallet == pallet]
    assert md.decode_events(raw, []) == []
    return events


def test_events_of_a_polkadot_block(load: Load, metadata: LoadMetadata) -> None:
    record = load("events/polkadot_18468942.json.gz")
    md = metadata("polkadot_1000001_v14")
    events = assert_events(md, unhex(record["eventsScale"]), record["decoded"])
    assert len(events) == record["count"] == 58


def test_events_and_messages_of_the_real_runtime(load: Load, rhala: Metadata) -> None:
    items = load("runtime/events.json.gz")["items"]
    assert len(items) == 23
    for item in items:
        assert_events(rhala, unhex(item["eventsScale"]), item["eventsDecoded"])
        raw = unhex(item["outboundMessagesScale"] or "0x00")
        messages = rhala.decode_storage("PhalaMq", "OutboundMessages", raw)
        assert rhala.encode_storage("PhalaMq", "OutboundMessages", messages) == raw
        type_id = rhala.storage_item("PhalaMq", "OutboundMessages").value
        assert same(rhala, type_id, messages, item["outboundMessagesDecoded"] or [])
        for extrinsic in item["blockExtrinsics"]:
            assert_extrinsic(rhala, unhex(extrinsic))


def assert_extrinsic(md: Metadata, raw: bytes) -> None:
    found = decode_extrinsic(md, raw)
    assert md.call(found.pallet, found.name, **found.args) == found.call
    signed = found.signed
    if signed is None:
        assert unsigned_extrinsic(md, found.call) == raw
        return
    assert signed.account is not None
    ((crypto, signature),) = signed.signature.items()
    assert raw == signed_extrinsic(
        md,
        found.call,
        account=signed.account,
        signature=signature,
        crypto=crypto.lower(),
        era=None if signed.era is None else (signed.era.period, signed.era.phase),
        nonce=signed.nonce,
        tip=signed.tip,
    )


def test_extrinsics_of_a_polkadot_block(load: Load, metadata: LoadMetadata) -> None:
    md = metadata("polkadot_1000001_v14")
    extrinsics = load("blocks/polkadot_18468942.json.gz")["extrinsics"]
    for extrinsic in extrinsics:
        assert_extrinsic(md, unhex(extrinsic))
    inherent = decode_extrinsic(md, unhex(extrinsics[1]))
    assert (inherent.pallet, inherent.name, inherent.signed) == ("ParaInherent", "enter", None)
    backed = inherent.args["data"]["backed_candidates"]
    assert 2035 in [b["candidate"]["descriptor"]["para_id"] for b in backed]


def test_extrinsics_the_real_runtime_accepted(load: Load, rhala: Metadata) -> None:
    data = load("runtime/extrinsics.json.gz")
    assert len(data["items"]) == 23
    for item in data["items"]:
        call = unhex(item["call"])
        era = item["era"]
        mortal = None if era.get("period") is None else (era["period"], era["birthBlock"])
        assert encode_era(mortal) == unhex(era["encoded"])
        payload = signing_payload(
            rhala,
            call,
            era=mortal,
            nonce=item["nonce"],
            tip=item["tip"],
            spec_version=data["specVersion"],
            transaction_version=data["transactionVersion"],
            genesis_hash=unhex(data["genesisHashInPayload"]),
            checkpoint_hash=unhex(item["checkpointHash"]),
        )
        assert payload == unhex(item["signaturePayload"])
        signed_bytes = payload if len(payload) <= 256 else blake2b_256(payload)
        assert signed_bytes == unhex(item["signedBytes"])
        public, signature = unhex(item["signerPublicKey"]), unhex(item["signature"])
        assert verify_signature("sr25519", public, signed_bytes, signature)
        assert not verify_signature("sr25519", public, signed_bytes + b"\0", signature)
        raw = unhex(item["extrinsic"])
        assert raw == signed_extrinsic(
            rhala,
            call,
            account=unhex(item["signerPublicKey"]),
            signature=unhex(item["signature"]),
            crypto="sr25519",
            era=mortal,
            nonce=item["nonce"],
            tip=item["tip"],
        )
        assert blake2b_256(raw) == unhex(item["extrinsicHash"])
        assert_extrinsic(rhala, raw)
        found = decode_extrinsic(rhala, raw)
        signed = found.signed
        assert signed is not None
        assert signed.account == unhex(item["signerPublicKey"])
        assert signed.signature == {"Sr25519": unhex(item["signature"])}
        assert (signed.nonce, signed.tip) == (item["nonce"], item["tip"])
        assert signed.era == (None if mortal is None else Era(era["period"], era["phase"]))
        assert rhala.call_type is not None
        value = rhala.decode(rhala.call_type, call)
        assert value == {found.pallet: {found.name: found.args} if found.args else found.name}
        assert same(rhala, rhala.call_type, value, item["decoded"])
        assert_extrinsic_fails_cut(rhala, raw)


def assert_extrinsic_fails_cut(md: Metadata, raw: bytes) -> None:
    for cut in range(len(raw)):
        with pytest.raises(CodecError):
            decode_extrinsic(md, raw[:cut])
    with pytest.raises(CodecError):
        decode_extrinsic(md, raw + b"\0")


def test_events_that_are_cut_off_are_refused(load: Load, rhala: Metadata) -> None:
    for item in load("runtime/events.json.gz")["items"]:
        raw = unhex(item["eventsScale"])
        for cut in range(len(raw)):
            for pallets in (None, []):
                with pytest.raises(CodecError):
                    rhala.decode_events(raw[:cut], pallets)
        with pytest.raises(CodecError, match="1 bytes too many"):
            rhala.decode_events(raw + b"\0")


def test_signed_messages_of_workers(load: Load, rhala: Metadata) -> None:
    items = load("runtime/mq_messages.json")["items"]
    calls = rhala.variants(rhala.pallet("PhalaMq").calls)
    type_id = calls["sync_offchain_message"].fields[0].type_id
    for item in items:
        raw = unhex(item["signedMessage"])
        message = rhala.decode(type_id, raw)
        assert rhala.encode(type_id, message) == raw
        assert message["sequence"] == item["sequence"]
        assert message["signature"] == unhex(item["signature"])
        assert message["message"]["payload"] == unhex(item["payload"])
        assert message["message"]["destination"] == item["destination"].encode()
        ((kind, sender),) = (
            item["sender"].items() if isinstance(item["sender"], dict) else [(item["sender"], None)]
        )
        expected = kind if sender is None else {kind: unhex(sender)}
        assert message["message"]["sender"] == expected
        call = rhala.call("PhalaMq", "sync_offchain_message", signed_message=message)
        assert call.endswith(raw)
        assert (
            verify_signature(
                "sr25519",
                unhex(item["signerPublicKey"]),
                unhex(item["signedBytes"]),
                message["signature"],
            )
            is (item["signatureValid"])
        )
        for cut in range(len(raw)):
            with pytest.raises(CodecError):
                rhala.decode(type_id, raw[:cut])


@pytest.mark.parametrize(
    ("name", "count"), [("storage/rhala_genesis.json", 49), ("storage/rhala_state.json.gz", 154)]
)
def test_storage_of_the_real_runtime(name: str, count: int, load: Load, rhala: Metadata) -> None:
    entries = load(name)["items"]
    assert len(entries) == count
    for entry in entries:
        pallet, item = entry["pallet"], entry["item"]
        key, raw = unhex(entry["key"]), unhex(entry["value"])
        if item == ":__STORAGE_VERSION__:":
            # Not in the metadata: the pallet's prefix and a name that all share.
            assert key[:16] == rhala.storage_prefix(pallet)
            assert rhala.decode("u16", raw) == entry["decoded"]
            continue
        params = rhala.decode_storage_key(pallet, item, key)
        assert len(params) == len(entry["params"])
        hashers = rhala.storage_item(pallet, item).hashers
        for ours, theirs, type_id, hasher in zip(
            params, entry["params"], rhala.storage_item(pallet, item).keys, hashers, strict=True
        ):
            assert theirs["hasher"] == hasher
            if hasher == "Identity" or hasher.endswith("Concat"):
                assert rhala.encode(type_id, ours) == unhex(theirs["encoded"])
                assert same(rhala, type_id, ours, theirs["value"])
        assert rhala.storage_key(pallet, item, *params) == key
        value = rhala.decode_storage(pallet, item, raw)
        assert rhala.encode_storage(pallet, item, value) == raw
        if (pallet, item) == ("System", "Events"):
            assert_events(rhala, raw, entry["decoded"])
        else:
            type_id = rhala.storage_item(pallet, item).value
            assert same(rhala, type_id, value, entry["decoded"]), entry
        for cut in range(0, len(raw), 1 + len(raw) // 50):
            with pytest.raises(CodecError):
                rhala.decode_storage(pallet, item, raw[:cut])


def test_a_wrong_hash_in_a_storage_key_is_refused(khala: Metadata) -> None:
    account = ss58.decode("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY").payload
    key = bytearray(khala.storage_key("System", "Account", account))
    key[40] ^= 1
    with pytest.raises(CodecError, match="wrong hash"):
        khala.decode_storage_key("System", "Account", key)
    for bad in (b"", bytes(key[:31]), bytes(key[:40]), bytes(key) + b"\0"):
        with pytest.raises(CodecError):
            khala.decode_storage_key("System", "Account", bad)
    with pytest.raises(CodecError, match="takes 1 parameters, 2 given"):
        khala.storage_key("System", "Account", account, account)
