"""What the tests of this transport share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prbkit.identity import Identity
from prbkit_plugins.zmq.address import Address
from prbkit_plugins.zmq.settings import ZmqSettings
from prbkit_plugins.zmq.transport import ZmqTransport


def make(
    identity: Identity,
    folder: Path = Path(),
    url: str = "zmq+tcp://127.0.0.1:0",
    *,
    namespace: str = "contract",
    boot_nodes: Sequence[str] = (),
    **limits: Any,
) -> ZmqTransport:
    """Make a transport, not yet opened."""
    return ZmqTransport(
        Address.parse(url, folder),
        identity,
        namespace=namespace,
        limits=ZmqSettings(**{"retry": 0.2, **limits}),
        boot_nodes=[Address.parse(node, folder) for node in boot_nodes],
        folder=folder,
    )
