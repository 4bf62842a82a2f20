"""Whatever a client sends, each method answers or refuses; none breaks."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.extensions import GrandpaRpc, PhalaRpc
from prbkit.testing.devnet.faults import Faults
from prbkit.testing.devnet.network import Network
from prbkit.testing.devnet.node import Node, NodeInfo
from prbkit.testing.devnet.rpc import RpcServer
from prbkit.testing.devnet.runtimes import runtimes


def _servers() -> dict[str, tuple[RpcServer, list[str], list[str]]]:
    config = DevnetConfig()
    network = Network(config, runtimes(config))
    for _ in range(12):
        network.step()
    out = {}
    for role in ("relay", "para"):
        chain = network.chain(role)
        node = Node(
            NodeInfo(role, role, role, "1"),
            chain,
            network.pool(role),
            lambda block, role=role: network.runtime(role, block),  # type: ignore[misc]
            Faults(),
        )
        extension = GrandpaRpc(node, network.finality) if role == "relay" else PhalaRpc(node)
        methods = [*node.methods(), *extension.methods()]
        hashes = ["0x" + block.hash.hex() for block in chain.blocks(0, 12)]
        out[role] = RpcServer(methods, []), [method.name for method in methods], hashes
    return out


SERVERS = _servers()
HEX = st.binary(max_size=40).map(lambda raw: "0x" + raw.hex())
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text(max_size=20) | HEX,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize("role", ["relay", "para"])
@given(data=st.data())
def test_every_method_answers_or_refuses_any_params(role: str, data: st.DataObject) -> None:
    server, names, hashes = SERVERS[role]
    name = data.draw(st.sampled_from(names))
    value = JSON | st.sampled_from(hashes) | st.lists(HEX, max_size=3) | st.integers(0, 20)
    params = data.draw(st.lists(value, max_size=4) | JSON)
    request = {"jsonrpc": "2.0", "id": 1, "method": name, "params": params}
    reply = server.answer(orjson.dumps(request), None)
    assert reply is not None
    answer = orjson.loads(reply.body)
    if "error" in answer:
        assert answer["error"]["code"] != -32603, (request, answer)
    else:
        assert "result" in answer


@given(st.binary(max_size=60) | JSON.map(orjson.dumps))
def test_any_bytes_are_answered_with_json_or_nothing(frame: bytes) -> None:
    server, _, _ = SERVERS["para"]
    reply = server.answer(frame, None)
    if reply is not None:
        orjson.loads(reply.body)
