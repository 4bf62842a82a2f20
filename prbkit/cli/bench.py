"""`prbkit bench`: how fast this machine does what a bridge does most, to size it by.

Nothing but this machine is measured: no node, no peer, no other program. The inputs are made here,
over the devnet's metadata, the same ones each time; the store and the transport are those of the
default settings, in a temporary folder and over loopback.
"""

from __future__ import annotations

import asyncio
import os
import platform
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from prbkit import __version__
from prbkit.blobs import header_from_json, header_hash
from prbkit.identity import Identity
from prbkit.light import (
    Commit,
    Justification,
    Precommit,
    Trie,
    read_proof,
    signing_message,
    verify_justification,
)
from prbkit.plugins import Plugins
from prbkit.scale import Metadata
from prbkit.settings import Settings

__all__ = ["Rate", "measure", "report"]

EVENTS = 3_000
PAIRS = 20_000
BLOCK_CHANGES = 300
VOTERS = 300
COMMIT_VALUES, VALUE = 16, 60_000
BLOB = 2**20


@dataclass(frozen=True, slots=True)
class Rate:
    """One figure: so many `unit` in a second, and what was done."""

    name: str
    rate: float
    unit: str
    what: str


async def measure(seconds: float) -> AsyncIterator[Rate]:
    """Measure one thing after the other, each for at least so many seconds."""
    for rate in _computing(seconds):
        yield rate
        await asyncio.sleep(0)
    with tempfile.TemporaryDirectory(prefix="prbkit-bench-") as folder:
        plugins = Plugins()
        settings = Settings.from_tree({"data_dir": folder})
        settings.bind_sections(plugins.settings())
        async for rate in _store(plugins, settings, seconds):
            yield rate
        yield await _transport(plugins, settings, seconds)


def report(rates: list[Rate]) -> dict[str, Any]:
    """The object of ``prbkit bench --json``."""
    return {
        "prbkit": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "rates": [asdict(rate) for rate in rates],
    }


def _repeat(work: Callable[[], object], seconds: float) -> float:
    """How often in a second `work` can be done."""
    work()
    times, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        work()
        times += 1
    return times / spent


async def _repeat_async(work: Callable[[], Awaitable[object]], seconds: float) -> float:
    await work()
    times, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        await work()
        times += 1
    return times / spent


# --- the core ------------------------------------------------------------------------------------


def _computing(seconds: float) -> Iterator[Rate]:
    from prbkit.testing.devnet.para import ParaRuntime, ParaSettings

    rng = random.Random(0)
    raw = ParaRuntime(ParaSettings()).metadata
    yield Rate(
        "metadata",
        _repeat(lambda: Metadata.decode(raw).prepare(), seconds),
        "metadata/s",
        f"V14 metadata of {len(raw) // 1000} KB read, every type ready",
    )
    metadata = Metadata.decode(raw)
    events = _events(metadata, rng)
    yield Rate(
        "events",
        EVENTS * _repeat(lambda: metadata.decode_events(events), seconds),
        "events/s",
        f"System.Events of {EVENTS:,} transfers decoded",
    )
    header = _header(rng)
    yield Rate(
        "headers",
        _repeat(lambda: header_hash(header_from_json(header)), seconds),
        "headers/s",
        "a header of a node's JSON made SCALE and hashed",
    )
    yield from _tries(rng, seconds)
    yield _justification(rng, seconds)


def _events(metadata: Metadata, rng: random.Random) -> bytes:
    records = [
        {
            "phase": {"ApplyExtrinsic": index},
            "event": {
                "Balances": {
                    "Transfer": {
                        "from": rng.randbytes(32),
                        "to": rng.randbytes(32),
                        "amount": rng.randrange(10**16),
                    }
                }
            },
            "topics": [],
        }
        for index in range(EVENTS)
    ]
    return metadata.encode(metadata.storage_item("System", "Events").value, records)


def _header(rng: random.Random) -> dict[str, Any]:
    return {
        "parentHash": "0x" + rng.randbytes(32).hex(),
        "number": hex(20_000_000),
        "stateRoot": "0x" + rng.randbytes(32).hex(),
        "extrinsicsRoot": "0x" + rng.randbytes(32).hex(),
        "digest": {
            "logs": [
                "0x0642414245" + "b501" + rng.randbytes(109).hex(),
                "0x0542414245" + "0101" + rng.randbytes(64).hex(),
            ]
        },
    }


def _tries(rng: random.Random, seconds: float) -> Iterator[Rate]:
    pairs = [(rng.randbytes(48), rng.randbytes(80)) for _ in range(PAIRS)]
    trie = Trie(pairs)
    keys = [key for key, _ in pairs]

    def block() -> None:
        trie.apply([(key, rng.randbytes(80)) for key in rng.choices(keys, k=BLOCK_CHANGES)])

    yield Rate(
        "trie",
        BLOCK_CHANGES * _repeat(block, seconds),
        "changes/s",
        f"{BLOCK_CHANGES} changes a block in a state of {PAIRS:,} values, with the root",
    )
    key, root = keys[0], trie.root
    proof = trie.proof([key])
    yield Rate(
        "proofs",
        _repeat(lambda: read_proof(root, proof, key), seconds),
        "proofs/s",
        f"a read proof of {len(proof)} nodes checked",
    )


def _justification(rng: random.Random, seconds: float) -> Rate:
    keys = [Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)) for _ in range(VOTERS)]
    target, number, round_, set_id = rng.randbytes(32), 1000, 7, 5
    message = signing_message(target, number, round_, set_id)
    votes = tuple(
        Precommit(target, number, key.sign(message), key.public_key().public_bytes_raw())
        for key in keys
    )
    encoded = Justification(round_, Commit(target, number, votes)).encode()
    authorities = [(vote.id, 1) for vote in votes]

    def verify() -> None:
        verify_justification(
            encoded,
            target_hash=target,
            target_number=number,
            authorities=authorities,
            set_id=set_id,
        )

    return Rate(
        "justifications",
        VOTERS * _repeat(verify, seconds),
        "signatures/s",
        f"a GRANDPA justification of {VOTERS} votes verified",
    )


# --- disk and loopback ---------------------------------------------------------------------------


async def _store(plugins: Plugins, settings: Settings, seconds: float) -> AsyncIterator[Rate]:
    rng = random.Random(1)
    store = await plugins.blob_store(settings.store, settings)
    await store.open()
    try:
        numbers = iter(range(2**32))
        values = [rng.randbytes(VALUE) for _ in range(COMMIT_VALUES)]

        async def commit() -> None:
            await store.commit({next(numbers).to_bytes(4, "big"): value for value in values})

        rate = await _repeat_async(commit, seconds)
        yield Rate(
            "commits",
            rate * COMMIT_VALUES * VALUE / 1e6,
            "MB/s",
            f"{COMMIT_VALUES} values of {VALUE // 1000} KB a durable commit, {rate:.0f} commits/s "
            f"({settings.store.partition(':')[0]})",
        )
        keys = [number.to_bytes(4, "big") for number in range(COMMIT_VALUES)]
        yield Rate(
            "reads",
            len(keys) * await _repeat_async(lambda: store.get_many(keys), seconds),
            "values/s",
            f"values of {VALUE // 1000} KB read, {COMMIT_VALUES} at a time",
        )
    finally:
        await store.close()


async def _transport(plugins: Plugins, settings: Settings, seconds: float) -> Rate:
    blob = random.Random(2).randbytes(BLOB)

    async def serve(_key: str) -> bytes:
        return blob

    async with AsyncExitStack() as stack:
        ends = []
        for _ in range(2):
            made = await plugins.transport(settings.local_transport, Identity.generate(), settings)
            ends.append(await stack.enter_async_context(made))
        server, client = ends
        server.serve_blobs(serve)
        await client.dial(server.address)
        rate = await _repeat_async(lambda: client.get_blob(server.peer_id, "bench"), seconds)
    return Rate(
        "transport",
        rate * BLOB / 1e6,
        "MB/s",
        "blobs of 1 MiB over loopback, encrypted, both ends in this process",
    )
