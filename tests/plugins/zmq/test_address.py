"""Addresses: URLs, multiaddrs, and what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import ConfigError
from prbkit_plugins.zmq.address import Address

PEER = "QmTC4NT1UCntzqMjtLyetxywgaqwhTqoQq26LtD3qZCATf"
FOLDER = Path("/data")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("zmq+tcp://10.0.0.2:18888", Address("10.0.0.2", 18888)),
        ("zmq+tcp://host.local:0/", Address("host.local", 0)),
        (f"zmq+tcp://[::1]:1/p2p/{PEER}", Address("::1", 1, "", PEER)),
        ("zmq+ipc:bridge.sock", Address(path="/data/bridge.sock")),
        ("zmq+ipc:///run/b.sock", Address(path="/run/b.sock")),
        (f"zmq+ipc:/run/b.sock/p2p/{PEER}", Address(path="/run/b.sock", peer_id=PEER)),
        ("/ip4/1.2.3.4/tcp/18888", Address("1.2.3.4", 18888)),
        (f"/dns4/a.b/tcp/1/p2p/{PEER}", Address("a.b", 1, "", PEER)),
        (f"/ip6/::1/tcp/1/ipfs/{PEER}", Address("::1", 1, "", PEER)),
    ],
)
def test_addresses_are_read(text: str, address: Address) -> None:
    assert Address.parse(text, FOLDER) == address
    assert Address.parse(str(address), FOLDER) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcp://10.0.0.2:1",
        "zmq+tcp://10.0.0.2",
        "zmq+tcp://:1",
        "zmq+tcp://a:99999",
        "zmq+tcp://u@a:1",
        "zmq+tcp://a:1/x",
        "zmq+tcp://a:1/p2p/Qm",
        "zmq+tcp://a:1?x=1",
        "zmq+ipc:",
        "zmq+ipc:" + "a" * 120,
        "/ip4/1.2.3.4/udp/1",
        "/ip4/1.2.3.4/tcp/70000",
        "/ip4/1.2.3.4/tcp/1/p2p/x",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Address.parse(text, FOLDER)


@given(st.text() | st.text().map(lambda t: f"zmq+tcp://{t}") | st.text().map(lambda t: f"/ip4/{t}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        address = Address.parse(text, FOLDER)
    except ConfigError:
        return
    assert 0 <= address.port <= 65535


def test_unspecified_hosts() -> None:
    for text in ("/ip4/0.0.0.0/tcp/18888", "zmq+tcp://[::]:1"):
        assert Address.parse(text, FOLDER).unspecified
    assert not Address("10.0.0.1", 1).unspecified
