"""A long sync, watched: memory, speed, and how much of the disk it takes.

``python -m tests.benchmarks.soak --relay 100000`` syncs a devnet of so many relay blocks (half as
many para blocks, 20 changes of the authority set) and prints, every few seconds, the anonymous
memory of the provider's process (smaps_rollup), the heights and the speed; at the end, the bytes
of what is stored before and after compression beside the raw SCALE of it, each header,
justification, proof and change once. The devnet is made once and kept in ``--data-dir``.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from pathlib import Path

from prbkit.interfaces import BlobStore
from prbkit_plugins.data_provider.archive import Archive
from prbkit_plugins.data_provider.follow import Follower
from prbkit_plugins.data_provider.frames import unseal
from prbkit_plugins.data_provider.settings import DataProviderSettings
from prbkit_plugins.lmdb.store import LmdbStore
from prbkit_plugins.substrate.settings import SubstrateSettings
from prbkit_plugins.substrate.source import SubstrateSource
from tests.benchmarks.devnet_process import devnet_process

__all__ = ["main"]

_MIB = 1 << 20


def anonymous() -> int:
    """Anonymous memory of this process, bytes."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Anonymous":
            return int(rest.split()[0]) * 1024
    raise OSError("smaps_rollup does not say how much memory is anonymous")


def provide(urls: tuple[str, str], store: Path, relay_blocks: int, every: float) -> None:
    """Sync in this process, which does nothing else."""
    asyncio.run(_provide(urls, store, relay_blocks, every))


async def _provide(urls: tuple[str, str], path: Path, blocks: int, every: float) -> None:
    rpc, settings = SubstrateSettings(), DataProviderSettings(verify_state="full")
    relay = SubstrateSource([urls[0]], "relay", rpc)
    para = SubstrateSource([urls[1]], "para", rpc)
    store = LmdbStore(path)
    async with relay, para, store:
        archive = Archive(store)
        await archive.load()
        follower = Follower(archive, relay, para, settings, lambda event: None)
        target = (await relay.finalized_head()).number
        start = before = time.perf_counter()
        task = asyncio.create_task(follower.run())
        samples: list[tuple[int, int, float]] = []
        last = (0, 0)
        try:
            while not _done(archive, target):
                await asyncio.wait([task], timeout=every)
                if task.done():
                    task.result()
                heights = (archive.relay.number, archive.para.number) if archive.begun else (0, 0)
                now = time.perf_counter()
                rates = [(a - b) / (now - before) for a, b in zip(heights, last, strict=True)]
                samples.append((anonymous(), heights[1], rates[1]))
                print(
                    f"{now - start:7.1f} s  relay {heights[0]:>7} ({rates[0]:7.0f}/s)  "
                    f"para {heights[1]:>7} ({rates[1]:6.0f}/s)  "
                    f"anonymous {samples[-1][0] / _MIB:6.1f} MiB",
                    flush=True,
                )
                last, before = heights, now
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        print(f"whole {time.perf_counter() - start:.1f} s for {blocks} relay blocks")
        _print_trend(samples)
        await _print_sizes(archive, store)


def _done(archive: Archive, target: int) -> bool:
    return (
        archive.begun
        and archive.relay.number >= target
        and archive.para.number >= archive.relay.para.number
    )


def _print_trend(samples: list[tuple[int, int, float]]) -> None:
    """Memory's peak, and para blocks a second in the first and the last quarter."""
    quarter = max(1, len(samples) // 4)
    first = [rate for _, _, rate in samples[1 : quarter + 1] if rate]
    last = [rate for _, _, rate in samples[-quarter - 1 : -1] if rate]
    print(f"anonymous memory at most {max(size for size, _, _ in samples) / _MIB:.1f} MiB")
    if first and last:
        speeds = sum(first) / len(first), sum(last) / len(last)
        print(f"para blocks/s: first quarter {speeds[0]:.0f}, last quarter {speeds[1]:.0f}")


async def _print_sizes(archive: Archive, store: BlobStore) -> None:
    raw = await _raw_size(archive)
    before = after = state = 0
    async for key, value in store.scan():
        after += len(value)
        if key.startswith((b"state/", b"index/", b"mark/")):
            before += len(value)
            state += len(value) if key.startswith(b"state/") else 0
        else:
            before += len(unseal(value, key.hex()))
    print(f"raw SCALE {raw} bytes; stored before compression {before} ({before / raw:.3f} x),")
    print(
        f"  after it {after} ({after / raw:.3f} x), of which the parachain's state {state}; "
        f"file {await store.size()}"
    )


async def _raw_size(archive: Archive) -> int:
    """Bytes of the SCALE of each thing that was fetched, once."""
    size = len(archive.genesis.info) + len(archive.genesis.state)
    for position in range(len(archive.index)):
        segment = await archive.segment(archive.index.segment(position).last)
        assert segment is not None
        size += sum(map(len, segment.headers())) + len(segment.justification)
        size += len(segment.proof) + len(segment.change or b"")
    tip = archive.para.number
    return size + archive.index.para_size(0, tip) + archive.index.changes_size(1, tip)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relay", type=int, default=100_000, help="relay blocks")
    parser.add_argument("--sets", type=int, default=20, help="changes of the authority set")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a request")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between lines")
    parser.add_argument("--data-dir", type=Path, help="where the devnet is kept")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with devnet_process(
            history=chosen.relay,
            set_period=max(1, chosen.relay // chosen.sets),
            endpoints={"only": {"latency": chosen.latency}},
            data_dir=chosen.data_dir or Path(folder) / "devnet",
        ) as urls:
            print(f"the devnet is up after {time.perf_counter() - started:.1f} s")
            context = multiprocessing.get_context("spawn")
            provider = context.Process(
                target=provide,
                args=(urls["only"], Path(folder) / "store", chosen.relay, chosen.every),
            )
            provider.start()
            try:
                provider.join()
            finally:
                provider.terminate()
                provider.join()


if __name__ == "__main__":
    main()
