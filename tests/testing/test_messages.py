"""The worker messages against those of the real runtime's run."""

from __future__ import annotations

import gzip
import json

import pytest
import sr25519
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import CodecError
from prbkit.testing import layouts, messages


def test_real_worker_messages(data_dir):
    items = json.loads((data_dir / "runtime/mq_messages.json").read_text())["items"]
    assert items
    for item in items:
        raw = bytes.fromhex(item["signedMessage"][2:])
        signed = messages.SIGNED_MESSAGE.decode(raw)
        assert messages.SIGNED_MESSAGE.write(signed) == raw
        assert signed.signed_bytes() == bytes.fromhex(item["signedBytes"][2:])
        assert signed.sequence == item["sequence"]
        key = bytes.fromhex(item["signerPublicKey"][2:])
        assert (
            sr25519.verify(signed.signature, signed.signed_bytes(), key) == item["signatureValid"]
        )
        payload = {
            messages.REGISTRY_TOPIC: messages.REGISTRY_EVENT,
            b"^phala/mining/report": messages.WORKING_REPORT,
            messages.UPDATE_TOPIC: messages.WORKING_INFO_UPDATE,
        }.get(signed.message.destination)
        if payload is not None:
            event = payload.decode(signed.message.payload)
            assert payload.write(event) == signed.message.payload


def test_real_outbound_messages(data_dir):
    blocks = json.loads(gzip.decompress((data_dir / "runtime/events.json.gz").read_bytes()))[
        "items"
    ]
    seen = set()
    for block in blocks:
        for each in block["outboundMessagesDecoded"]:
            if each["destination"].encode() == messages.SYSTEM_TOPIC:
                payload = bytes.fromhex(each["payload"][2:])
                event = messages.SYSTEM_EVENT.decode(payload)
                assert messages.SYSTEM_EVENT.write(event) == payload
                seen.add(type(event.event))
    assert {messages.Registered, messages.BenchScore, messages.Started} <= seen


@given(st.integers(min_value=0, max_value=(1 << 536) - 1))
def test_compact_reads_back_what_it_wrote(value):
    assert layouts.compact.decode(layouts.compact.write(value)) == value


@given(st.binary(max_size=200))
def test_hostile_bytes_raise_only_codec_errors(data):
    for layout in (
        messages.SIGNED_MESSAGE,
        messages.EGRESS,
        messages.SYSTEM_EVENT,
        messages.REGISTRY_EVENT,
        messages.WORKING_REPORT,
        messages.WORKING_INFO_UPDATE,
    ):
        try:
            value = layout.decode(data)
        except CodecError:
            continue
        assert layout.write(value) == data


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(CodecError, match="u32"):
        messages.SYSTEM_EVENT.write(
            messages.WorkerEventWithKey(bytes(32), messages.BenchStart(duration=1 << 32))
        )
    with pytest.raises(CodecError, match="none of"):
        messages.SYSTEM_EVENT.write(messages.BenchReport(1, 2))
