"""Calls, storage keys and signing payloads, byte for byte as polkadot.js makes them."""

from __future__ import annotations

from typing import Any

import pytest

from prbkit.errors import CodecError
from prbkit.scale import Metadata, Value, signing_payload
from tests.scale.conftest import Load

VECTORS = "vectors/polkadotjs.json.gz"


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def native(value: Any) -> Value:
    """What JSON says with hex and decimal text, as bytes and ints."""
    if isinstance(value, str) and value.startswith("0x"):
        return unhex(value)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, list):
        return [native(part) for part in value]
    if isinstance(value, dict):
        return {name: native(part) for name, part in value.items()}
    return value


def test_calls(load: Load, khala: Metadata) -> None:
    cases = load(VECTORS)["calls"]
    assert len(cases) == 72
    for case in cases:
        args = native(case["args"])
        encoded = khala.call(case["pallet"], case["call"], **args)
        assert encoded == unhex(case["scale"])
        pallet, name, decoded = khala.decode_call(encoded)
        assert (pallet, name, decoded.keys()) == (case["pallet"], case["call"], args.keys())
        # Inner calls were given as bytes; what they decode to makes the same bytes again.
        assert khala.call(pallet, name, **decoded) == encoded
        if name == "proxy":
            assert decoded["real"] == {"Id": args["real"]}
        elif name != "force_batch":
            assert decoded == args
        for cut in range(0, len(encoded), 1 + len(encoded) // 200):
            with pytest.raises(CodecError):
                khala.decode_call(encoded[:cut])


def test_storage_keys(load: Load, khala: Metadata) -> None:
    cases = load(VECTORS)["storage_keys"]
    assert len(cases) == 50
    for case in cases:
        pallet, item, params = case["pallet"], case["item"], native(case["params"])
        key = khala.storage_key(pallet, item, *params)
        assert key == unhex(case["key"])
        assert khala.decode_storage_key(pallet, item, key) == tuple(params)
        assert key.startswith(khala.storage_key(pallet, item, *params[:-1]))


def test_signing_payloads(load: Load, khala: Metadata) -> None:
    cases = load(VECTORS)["signing_payloads"]
    assert len(cases) == 10
    for case in cases:
        assert [e.identifier for e in khala.signed_extensions] == case["signed_extensions"]
        period = case["mortal_period"]
        payload = signing_payload(
            khala,
            unhex(case["call"]),
            era=None if period is None else (period, case["era_current"]),
            nonce=case["nonce"],
            tip=case["tip"],
            spec_version=case["spec_version"],
            transaction_version=case["transaction_version"],
            genesis_hash=unhex(case["genesis_hash"]),
            checkpoint_hash=unhex(case["checkpoint_hash"]),
        )
        assert payload == unhex(case["payload"])
