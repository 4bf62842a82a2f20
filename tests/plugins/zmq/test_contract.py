"""The contract of transports, over TCP and over same-host sockets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prbkit.identity import Identity
from prbkit.interfaces import Transport
from prbkit.testing.contracts.transport import TransportContract

from .support import make


class TestZmqTransport(TransportContract):
    urls = ("zmq+tcp://127.0.0.1:0", "zmq+ipc:{path}")

    def make_transport(
        self,
        url: str,
        identity: Identity,
        folder: Path,
        *,
        namespace: str = "contract",
        boot_nodes: Sequence[str] = (),
        allow: Sequence[str] = (),
        psk: str | None = None,
    ) -> Transport:
        return make(
            identity,
            folder,
            url,
            namespace=namespace,
            boot_nodes=boot_nodes,
            allow=allow,
            psk=psk,
        )
