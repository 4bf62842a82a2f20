"""What nodes of several ages answer is read, and whatever else comes is refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.blobs import header_hash
from prbkit.errors import CodecError, JustificationError
from prbkit.light import Justification, ordered_root
from prbkit_plugins.substrate import shapes
from prbkit_plugins.substrate.rpc import Notified, RpcCore


@pytest.fixture(scope="module")
def answer(data_dir: Path) -> Callable[[str], Any]:
    def read(name: str) -> Any:
        return json.loads((data_dir / "json_rpc" / f"{name}.json").read_text())

    return read


@pytest.mark.parametrize("name", ["Header.001", "Header.003"])
def test_headers(answer: Callable[[str], Any], name: str) -> None:
    given_ = answer(name)["result"]
    scale = shapes.header(given_)
    assert scale.startswith(bytes.fromhex(given_["parentHash"][2:]))
    assert scale.endswith(b"".join(bytes.fromhex(log[2:]) for log in given_["digest"]["logs"]))


@pytest.mark.parametrize(
    ("name", "extrinsics"),
    [("SignedBlock.003.00", 0), ("SignedBlock.004.immortal", 1), ("SignedBlock.005", 2)],
)
def test_blocks_without_justifications(
    answer: Callable[[str], Any], name: str, extrinsics: int
) -> None:
    block = shapes.block(answer(name)["result"])
    assert block.justifications == {}
    assert len(block.extrinsics) == extrinsics


def test_a_block_with_the_justification_of_another_finality(answer: Callable[[str], Any]) -> None:
    block = shapes.block(answer("chain_getBlock_with_justifications")["result"])
    expected = "67b5ddfeb077a2f6e0bbfa5d9e134940aaaacec8ea12ff3b8b007efb046bc011"
    assert header_hash(block.header).hex() == expected
    assert ordered_root(block.extrinsics) == block.header[-32 - len(_digest(answer)) :][:32]
    assert list(block.justifications) == [b"FRNK"]
    with pytest.raises(JustificationError):
        Justification.decode(block.justifications[b"FRNK"])


def _digest(answer: Callable[[str], Any]) -> bytes:
    header = answer("chain_getBlock_with_justifications")["result"]["block"]["header"]
    logs = [bytes.fromhex(log[2:]) for log in header["digest"]["logs"]]
    return bytes([len(logs) << 2]) + b"".join(logs)


def test_a_runtime_version_without_a_transaction_version(answer: Callable[[str], Any]) -> None:
    version = shapes.runtime_version(answer("RuntimeVersion.002")["result"])
    assert (version.spec_name, version.spec_version) == ("node", 60)
    assert version.transaction_version == 0


@pytest.mark.parametrize("name", ["EventRecord.001", "EventRecord.003", "ExtrinsicStatus.001"])
def test_notifications(answer: Callable[[str], Any], name: str) -> None:
    """Subscriptions were numbers once."""
    frame = answer(name)
    core = RpcCore()
    number, _ = core.call("subscribe", [], subscribe=True)
    node_id = frame["params"]["subscription"]
    core.receive(json.dumps({"jsonrpc": "2.0", "id": number, "result": node_id}))
    found = core.receive(json.dumps(frame))
    assert found == [Notified(number, frame["params"]["result"])]
    if name.startswith("EventRecord"):
        key, value = frame["params"]["result"]["changes"][0]
        known = shapes.changes_set([frame["params"]["result"]], [bytes.fromhex(key[2:])])
        assert known == [bytes.fromhex(value[2:])]


# --- hostile -------------------------------------------------------------------------------------

HEX = st.binary(max_size=40).map(lambda raw: "0x" + raw.hex())
NAMES = st.sampled_from(
    ["block", "header", "extrinsics", "justifications", "justification", "proof", "changes",
     "specName", "specVersion", "transactionVersion", "digest", "logs", "number"]
)  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=6)
    | st.sampled_from(["0x", "0x0", "0xé", "0x\ud800", "\ud800"])
    | HEX,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
READERS: list[Callable[[Any], Any]] = [
    shapes.block,
    shapes.data,
    shapes.finality_proof,
    shapes.hash32,
    shapes.header,
    shapes.hex_list,
    shapes.number,
    shapes.optional_data,
    shapes.pairs,
    shapes.read_proof,
    shapes.runtime_version,
    shapes.text,
    lambda value: shapes.changes(value, 1),
    lambda value: shapes.changes_set(value, [b"k"]),
]


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for read in READERS:
        with contextlib.suppress(CodecError):
            read(value)


@given(st.binary(max_size=300), st.sampled_from([b"", bytes(32), bytes(33)]))
def test_any_bytes_are_a_finality_proof_or_refused(raw: bytes, start: bytes) -> None:
    with contextlib.suppress(CodecError):
        shapes.finality_proof("0x" + (start + raw).hex())


HEADERS = [bytes(32) + bytes([n << 2]) + bytes(64) + b"\4\x08" for n in range(4)]
PROOF = b"\1" * 32 + b"\x0cabc" + bytes([len(HEADERS) << 2]) + b"".join(HEADERS)


def test_a_finality_proof() -> None:
    proof = shapes.finality_proof("0x" + PROOF.hex())
    assert proof is not None
    assert (proof.hash, proof.justification) == (b"\1" * 32, b"abc")
    assert list(proof.headers) == HEADERS
    assert shapes.finality_proof(None) is None


def test_a_finality_proof_cut_off_or_lengthened_is_refused() -> None:
    for end in range(len(PROOF)):
        with pytest.raises(CodecError):
            shapes.finality_proof("0x" + PROOF[:end].hex())
    with pytest.raises(CodecError):
        shapes.finality_proof("0x" + PROOF.hex() + "00")


@pytest.mark.parametrize("length", ["feffffff", "03ffffffff", "33" + "ff" * 16, "ff" * 68])
def test_a_length_that_is_not_there_allocates_nothing(length: str) -> None:
    for before in ("11" * 32, "11" * 32 + "00", "11" * 32 + "0004" + "00" * 32):
        with pytest.raises(CodecError):
            shapes.finality_proof("0x" + before + length + "00" * 20)
