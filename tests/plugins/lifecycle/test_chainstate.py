"""The picture of the chain against a run of the real runtime: read once, then changes alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from prbkit.blobs import encode_storage_changes, storage_changes_from_json
from prbkit.errors import CodecError
from prbkit.scale import Metadata
from prbkit_plugins.lifecycle.chainstate import ChainState


def raw(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text.removeprefix("0x"))


@pytest.fixture(scope="module")
def metadata(data_dir: Path) -> Metadata:
    return Metadata((data_dir / "metadata" / "rhala_1241_v14.scale").read_bytes())


@pytest.fixture(scope="module")
def run(data_dir: Path) -> dict[str, Any]:
    with gzip.open(data_dir / "trie" / "rhala_sim_2_20.json.gz") as file:
        value: dict[str, Any] = json.load(file)
    return value


def workers_in(run: dict[str, Any], metadata: Metadata) -> set[bytes]:
    prefix = metadata.storage_key("PhalaRegistry", "Workers")
    keys = [
        raw(key) or b""
        for block in run["blocks"]
        for key, _ in block["changes"]["mainStorageChanges"]
    ]
    return {key[-32:] for key in keys if key.startswith(prefix)}


def filled(state: ChainState, values: dict[bytes, bytes]) -> None:
    while missing := state.missing():
        state.fill(missing, [values.get(key) for key in missing])


def test_following_changes_equals_reading_at_every_block(
    metadata: Metadata, run: dict[str, Any]
) -> None:
    values = {raw(key) or b"": raw(value) or b"" for key, value in run["baseState"].items()}
    workers = workers_in(run, metadata)
    assert workers
    followed = ChainState(metadata, run["baseBlock"])
    seen = set()
    for public_key in workers:
        followed.watch_worker(public_key)
        followed.watch_origin(b"\x02" + public_key)
    filled(followed, values)
    for block in run["blocks"]:
        followed.apply(block["number"], storage_changes_from_json(block["changes"]))
        for key, value in block["changes"]["mainStorageChanges"]:
            name, data = raw(key) or b"", raw(value)
            if data is None:
                values.pop(name, None)
            else:
                values[name] = data
        filled(followed, values)
        read = ChainState(metadata, block["number"])
        for public_key in workers:
            read.watch_worker(public_key)
            read.watch_origin(b"\x02" + public_key)
        filled(read, values)
        for public_key in workers:
            here = followed.worker(public_key)
            assert here is not None
            assert here == read.worker(public_key)
            origin = b"\x02" + public_key
            assert followed.next_sequence(origin) == read.next_sequence(origin)
            seen.add((here.registered, here.initial_score is not None, here.pid is not None))
    assert (True, False, False) in seen
    assert len(seen) >= 2


def test_the_end_of_the_real_run_is_read(data_dir: Path, metadata: Metadata) -> None:
    with gzip.open(data_dir / "storage" / "rhala_state.json.gz") as file:
        items = json.load(file)["items"]
    values = {raw(item["key"]) or b"": raw(item["value"]) or b"" for item in items}
    bindings = metadata.storage_key("PhalaComputation", "WorkerBindings")
    state = ChainState(metadata, 47)
    workers = sorted(key[-32:] for key in values if key.startswith(bindings))
    for public_key in workers:
        state.watch_worker(public_key)
    filled(state, values)
    sessions = {}
    for public_key in workers:
        found = state.worker(public_key)
        assert found is not None
        assert found.registered
        assert found.pid == 0
        assert found.session is not None
        sessions[found.session.state] = found
    assert set(sessions) == {"WorkerIdle", "WorkerCoolingDown"}
    idle = sessions["WorkerIdle"]
    assert idle.initial_score == 1074
    assert idle.session is not None
    assert idle.session.stake == 20_000 * 10**12
    assert idle.session.v == 487341949139162324810221


def test_a_worker_is_unknown_until_all_of_it_was_read(metadata: Metadata) -> None:
    state = ChainState(metadata, 1)
    key = bytes(32)
    assert state.worker(key) is None
    state.watch_worker(key)
    assert state.worker(key) is None
    missing = state.missing()
    state.fill(missing[1:], [None] * (len(missing) - 1))
    assert state.worker(key) is None
    state.fill(missing[:1], [None])
    found = state.worker(key)
    assert found is not None
    assert not found.registered
    assert state.next_sequence(b"\x02" + key) is None


def test_a_new_runtime_is_noticed_and_the_picture_kept(metadata: Metadata) -> None:
    state = ChainState(metadata, 1)
    state.watch_worker(bytes(32))
    filled(state, {})
    state.apply(2, encode_storage_changes([(b":code", b"wasm")]))
    assert state.upgraded
    renewed = state.renewed(metadata)
    assert not renewed.upgraded
    assert renewed.block == 2
    assert renewed.worker(bytes(32)) == state.worker(bytes(32))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x04", b"\x04\x04k\x02", b"\xff" * 8, b"\xfe\xff\xff\xff", b"\x04\x04k\x01\xfc"],
)
def test_hostile_changes_are_refused(metadata: Metadata, data: bytes) -> None:
    with pytest.raises(CodecError):
        ChainState(metadata, 1).apply(2, data)


def test_blocks_are_applied_in_order(metadata: Metadata) -> None:
    with pytest.raises(ValueError, match="does not follow"):
        ChainState(metadata, 1).apply(3, b"\0\0")
