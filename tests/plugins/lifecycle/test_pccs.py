"""Collateral for DCAP quotes, against the simulated PCCS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.blobs import (
    SgxDcap,
    decode_attestation_report,
    encode_attestation_report,
)
from prbkit.errors import WorkerRefused
from prbkit.testing.pruntime.attestation import attest, registration_info
from prbkit.testing.pruntime.pccs import CHAIN, FMSPC, SimulatedPccs, make_quote
from prbkit.wire import pruntime as rpc
from prbkit_plugins.lifecycle.pccs import Pccs, PccsError, Platform, platform_of
from prbkit_plugins.lifecycle.registration import bare_quote, registration

KEY = b"\x05" * 32


@dataclass
class Bench:
    server: SimulatedPccs
    client: Pccs
    session: aiohttp.ClientSession


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with SimulatedPccs() as server, aiohttp.ClientSession() as session:
        client = Pccs(server.url, session)
        yield Bench(server, client, session)
        await client.close()


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("authority", ["Processor", "Platform"])
def test_a_quote_names_its_platform(version: int, authority: str) -> None:
    quote = make_quote(b"data", version=version, authority=authority)
    assert platform_of(quote) == Platform(FMSPC, authority.lower())


@given(st.data())
def test_a_damaged_quote_is_refused_or_read(data: st.DataObject) -> None:
    quote = bytearray(make_quote(b"data", version=data.draw(st.sampled_from([3, 4]))))
    for at in data.draw(st.lists(st.integers(0, len(quote) - 1), max_size=3)):
        quote[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(quote)))
    try:
        platform = platform_of(bytes(quote[:cut]))
    except WorkerRefused:
        return
    assert len(platform.fmspc) == 6


async def test_collateral_is_whole_and_asked_for_once(bench: Bench) -> None:
    quote = make_quote(b"one", authority="Platform")
    found = await asyncio.gather(*(bench.client.collateral(quote) for _ in range(5)))
    assert len(set(found)) == 1
    assert sorted(bench.server.requests) == [
        "pckcrl?ca=platform",
        "qe/identity",
        "rootcacrl",
        f"tcb?fmspc={FMSPC.hex().upper()}",
    ]
    texts = found[0].texts
    assert (texts[0], texts[3], texts[5]) == (CHAIN, CHAIN, CHAIN)
    assert (texts[1], texts[2]) == ("3081bb", "3081aa")
    # Exactly the bytes that are signed.
    assert texts[4] == '{"version":3,  "id":"SGX"}'
    assert found[0].signatures == (b"\xaa" * 64, b"\xbb" * 64)


async def test_a_registration_carries_the_collateral(bench: Bench) -> None:
    info = registration_info(KEY, bytes(32), None, 2004)
    answer = rpc.InitRuntimeResponse(encoded_runtime_info=info)
    answer.attestation.CopyFrom(attest("dcap", info))
    quote = bare_quote(answer)
    assert quote is not None
    collateral = await bench.client.collateral(quote)
    made = registration(
        answer, public_key=KEY, operator=None, unattested=False, collateral=collateral
    )
    assert made is not None
    report = decode_attestation_report(bytes.fromhex(made["attestation"][2:]))
    assert report == SgxDcap(quote, collateral)
    answer.attestation.encoded_report = encode_attestation_report(report)
    assert bare_quote(answer) is None


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        ({"status": 500}, "status 500"),
        ({"answers": {"tcb": b"{}"}}, "no signed tcbInfo"),
        ({"answers": {"qe/identity": b'{"signature": "aa"}'}}, "no signed enclaveIdentity"),
        ({"answers": {"rootcacrl": b"\xff\xfe"}}, "no text"),
        ({"answers": {"pckcrl": b"x" * (2**20 + 1)}}, "too long"),
    ],
)
async def test_a_pccs_that_fails_is_named(bench: Bench, faults: dict[str, Any], says: str) -> None:
    for name, value in faults.items():
        setattr(bench.server, name, value)
    with pytest.raises(PccsError, match=says) as caught:
        await bench.client.collateral(make_quote(b""))
    assert bench.server.url.rstrip("/") in str(caught.value)
    bench.server.status, bench.server.answers = 200, {}
    assert await bench.client.collateral(make_quote(b""))


async def test_a_pccs_that_hangs_or_is_gone_costs_its_timeout(bench: Bench) -> None:
    bench.server.hang = True
    with pytest.raises(PccsError, match=r"within 0\.05 s"):
        await Pccs(bench.server.url, bench.session, timeout=0.05).collateral(make_quote(b""))
    with pytest.raises(PccsError, match="cannot reach"):
        await Pccs("http://127.0.0.1:1/", bench.session).collateral(make_quote(b""))
