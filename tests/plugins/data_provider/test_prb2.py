"""PRB v2's blobs by PRB v2's keys, byte for byte as PRB v2 itself wrote them for the same chain.

That chain's justifications and proofs are arbitrary, so it is committed past verification.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from prbkit.blobs import decode_proof, genesis_info, storage_state
from prbkit.blobs.documents import Genesis, RelaySegment
from prbkit.interfaces import Head
from prbkit.light import AuthoritySet, decode_authorities
from prbkit.wire import walkie
from prbkit_plugins.data_provider.archive import Archive
from prbkit_plugins.data_provider.facts import RelayTip
from prbkit_plugins.data_provider.prb2 import Prb2Blobs
from prbkit_plugins.memory.store import MemoryStore


def _load(path: Path) -> Any:
    with gzip.open(path) as file:
        return json.load(file)


def _raw(text: str | None) -> bytes:
    return bytes.fromhex((text or "0x").removeprefix("0x"))


async def _archive(chain: Any) -> Archive:
    store = MemoryStore()
    await store.open()
    archive = Archive(store)
    await archive.load()
    relay = [_Relay(row) for row in chain["relay"]]
    origin = relay[0]
    pairs = [(_raw(key), _raw(value)) for key, value in chain["genesis_pairs"]]
    proof = [_raw(node) for node in chain["genesis_proof"]]
    sets = AuthoritySet(tuple(origin.authorities), origin.set_id)
    info = genesis_info(origin.header, sets.authorities, sets.set_id, proof)
    para = [(_raw(row["header"]), _raw(row["storage_changes"])) for row in chain["para"]]
    head = Head(0, bytes(32))
    tip = RelayTip(origin.number, origin.hash, sets, False, head)
    genesis = Genesis(chain["para_id"], origin.number, info, storage_state(pairs))
    await archive.commit_genesis(genesis, para[0][0], tip)
    run: list[_Relay] = []
    for block in relay[1:]:
        run.append(block)
        if block.justification is None:
            continue
        change = None
        if block.set_id > sets.set_id:
            change = (block.authorities, block.set_id, block.authority_proof)
        segment = RelaySegment.make(
            [each.header for each in run],
            set_id=sets.set_id,
            justification=block.justification,
            para_number=block.para_number,
            proof=block.para_proof,
            change=change,
        )
        sets = AuthoritySet(tuple(block.authorities), block.set_id)
        tip = RelayTip(block.number, block.hash, sets, change is not None, head)
        await archive.commit_relay(segment, tip)
        run = []
    last = archive.index.segment(len(archive.index) - 1).para_number or 0
    await archive.commit_para(
        1, [h for h, _ in para[1 : last + 1]], [c for _, c in para[1 : last + 1]]
    )
    return archive


class _Relay:
    def __init__(self, row: Any) -> None:
        self.number = int(row["number"])
        self.header, self.hash = _raw(row["header"]), _raw(row["hash"])
        self.set_id = int(row["set_id"])
        self.justification = _raw(row["justification"]) if row["justification"] else None
        self.para_number = int(row["para_number"])
        self.para_proof = [_raw(node) for node in row["para_proof"]]
        self.authorities = decode_authorities(_raw(row["authorities"]), versioned=True)
        self.authority_proof = [_raw(node) for node in row["authority_proof"]]


@pytest.fixture(scope="module")
def chain(data_dir: Path) -> Any:
    return _load(data_dir / "prb2" / "chain.json.gz")


@pytest.fixture(scope="module")
def stored(data_dir: Path) -> dict[str, bytes]:
    found = _load(data_dir / "prb2" / "store.json.gz")
    return {key: bytes.fromhex(value.removeprefix("0x")) for key, value in found.items()}


MESSAGES = {
    "genesis": walkie.Genesis,
    "rangeByParentBlock": walkie.RangeMeta,
    "window": walkie.Window,
    "para": walkie.ParaBlock,
}
BLOBS = ("dryParaBlock:", "rangeParaBlock:", "drySyncHeader:", "blobRange:")


async def test_every_blob_has_the_bytes_that_prb_v2_made(
    chain: Any, stored: dict[str, bytes]
) -> None:
    archive = await _archive(chain)
    blobs = Prb2Blobs(archive, limit=64 << 20)
    # The last para block lies behind the last range: nothing that is committed proves it.
    beyond = (f":{archive.para.number + 1}", f":{archive.para.number + 1}:pb")
    wanted = {key: stored[key] for key in stored if key.startswith(BLOBS)}
    wrong = [key for key in wanted if await blobs.get(key) != wanted[key]]
    assert [key for key in wrong if not key.endswith(beyond)] == []
    names = ("dry", "blobRange", "rangeParaBlock:buffer")
    assert sum(key.startswith(names) for key in wanted) == 177


async def test_every_message_says_what_prb_v2s_does(chain: Any, stored: dict[str, bytes]) -> None:
    """PRB v2's encoder writes members that are zero too, so bytes may differ."""
    archive = await _archive(chain)
    blobs = Prb2Blobs(archive, limit=64 << 20)
    for key, value in stored.items():
        kind, number, *_ = (*key.split(":"), "")
        if kind not in MESSAGES or not key.endswith(":pb"):
            continue
        if kind == "para" and not 0 < int(number) <= archive.para.number:
            continue
        made, theirs = MESSAGES[kind](), MESSAGES[kind]()
        made.ParseFromString(await blobs.get(key) or b"")
        theirs.ParseFromString(value)
        assert made == theirs, key


async def test_parent_blocks_say_what_the_documents_know(
    chain: Any, stored: dict[str, bytes]
) -> None:
    archive = await _archive(chain)
    blobs = Prb2Blobs(archive, limit=64 << 20)
    for number in range(archive.index.relay_first, archive.relay.number + 1):
        made, theirs = walkie.ParentBlock(), walkie.ParentBlock()
        made.ParseFromString(await blobs.get(f"parent:{number}:pb") or b"")
        theirs.ParseFromString(stored[f"parent:{number}:pb"])
        for name in ("number", "hash", "header", "set_id", "has_justification", "sync_header_data"):
            assert getattr(made, name) == getattr(theirs, name), (number, name)
        if made.has_justification:
            assert made.para_number == theirs.para_number
            assert decode_proof(made.para_proof) == decode_proof(theirs.para_proof)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "para",
        "para::pb",
        "para:1",
        "para:1:pbx",
        "para:-1:pb",
        "para:999999:pb",
        "para:99999999999999:pb",
        "window:-1:pb",
        "window:99:pb",
        "genesis:1:pb",
        "rangeByParentBlock:12:pb",
        "rangeParaBlock:1",
        "rangeParaBlock:key:0",
        "rangeParaBlock:key:x",
        "rangeParaBlock:buffer:2",
        "drySyncHeader:11:14:1:3",
        "drySyncHeader:12:14:1:2",
        "drySyncHeader:14:11:1:2",
        "blobRange:11:60:1:25",
        "dryParaBlock:0",
    ],
)
async def test_other_keys_have_no_blob(key: str, chain: Any) -> None:
    assert await Prb2Blobs(await _archive(chain), limit=64 << 20).get(key) is None
